# A job: packages of several ranks, and what lets them run together (job.json).


JOB_FILE = "job.json"
ROOTED = ("broadcast", "reduce", "gather", "scatter", "send")


def is_job(folder):
    return os.path.isfile(os.path.join(folder, JOB_FILE))


class Job:
    """job.json, held to its rules: the groups, and what each rank runs."""

    def __init__(self, folder):
        self.folder, self.path = folder, os.path.join(folder, JOB_FILE)
        try:
            self.document = parse_manifest(read_plain(self.path))
            check_job(self.document)
        except Broken as broken:
            raise invalid_job(broken, self.path)
        self.world_size, self.groups = self.document["world_size"], self.document["groups"]
        self.ranks = {entry["rank"]: entry for entry in self.document["ranks"]}

    def package_of(self, rank):
        """The folder of the package that a rank runs."""
        if rank not in self.ranks:
            raise Problem("MYS433",
                          f"the ranks do not fit the job: it has no rank {rank}, and {len(self.ranks)} of {self.world_size}", self.path,
                          "start as many processes as the job has ranks; docs/ranks.md says how")
        return os.path.join(self.folder, *self.ranks[rank]["package"].split("/"))

    def differences_of(self, rank):
        """By operator, what differs for a rank from its package's own data of calls."""
        return {id_of(call): call for call in self.ranks[rank].get("calls", ())}

    def check_package(self, package, rank):
        """Whether the calls of a rank's package fit the job: it must have their groups, and the rank be a member."""
        differences, nodes = self.differences_of(rank), set()
        try:
            for op in package.manifest["operators"]:
                call = call_of(op)
                if call is None:
                    continue
                nodes.add(id_of(op))
                if call["kind"] != "wait":
                    self.check_call({**call, **differences.get(id_of(op), {})}, f"the call of node {op['node']} of rank {rank}", rank)
            hold(differences.keys() <= nodes, f"ranks, where rank {rank} has a call that its package does not have,")
        except Broken as broken:
            raise invalid_job(broken, self.path)

    def check_call(self, call, place, rank):
        hold(call["group"] < len(self.groups), f"{place}, whose group the job does not have,")
        members = self.groups[call["group"]]["ranks"]
        hold(rank in members, f"{place}, whose group does not have the rank,")
        hold("root" in call or call["kind"] not in ROOTED, f"{place}, which has no root,")
        check_members(call, members, place)


def check_job(job):
    hold(isinstance(job, dict) and job.get("format") == "mystique-job", 'its format, which is not "mystique-job",')
    check(RULES["job"], job, "", job)
    size, seen = job["world_size"], set()
    for i, group in enumerate(job["groups"]):
        members = group["ranks"]
        hold(len(set(members)) == len(members) and max(members) < size, f"groups[{i}].ranks")
    for i, entry in enumerate(job["ranks"]):
        rank, place = entry["rank"], f"ranks[{i}]"
        hold(rank < size and rank not in seen, f"{place}.rank")
        hold(entry.get("made_of", 0) < size, f"{place}.made_of")
        seen.add(rank)
        calls = entry.get("calls", ())
        hold(len({id_of(call) for call in calls}) == len(calls), f"{place}.calls, which has a node twice,")
        for j, call in enumerate(calls):
            here = f"{place}.calls[{j}]"
            if "group" in call:
                hold(call["group"] < len(job["groups"]), f"{here}.group")
                hold(rank in job["groups"][call["group"]]["ranks"], f"{here}.group, which does not have the rank,")
                check_members(call, job["groups"][call["group"]]["ranks"], here)


def check_members(call, members, place):
    hold(call.get("root", 0) < len(members), f"{place}.root")
    for name in ("input_splits", "output_splits"):
        hold(len(call.get(name) or members) == len(members), f"{place}.{name}")


def invalid_job(why, path):
    return Problem("MYS131", f"the job's file is invalid: {why}", path, "make the job's package again")


def call_of(op):
    """What an operator of a manifest says of the call between ranks that it is; None for other operators."""
    return (op.get("collective") or {}).get("call")
