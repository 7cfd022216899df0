# The program as TorchScript.


class ScriptProgram:
    """program.pt: a function for each call of the schedule; tensors live in a list inside it."""

    def __init__(self, package, devices, kernels, has_libraries, pins=False, rank_calls=None):
        self.check_target(package, has_libraries)
        torch._C._set_graph_executor_optimize(False)  # It would merge equal operators and fuse others.
        self.tensors = package.manifest["tensors"]
        self.module = torch.jit.load(archive_of(pinned_program(package) if pins else package.program))  # The text that was looked through.
        self.module.resize(len(package.manifest["tensors"]) + RESERVED_SLOTS)
        for device in devices:
            self.module.use_device(torch.empty(0, device=device))
        self.held, self.rank_calls = {}, rank_calls or {}  # What is in slots from the start, for calls between ranks.
        self.frees = functions_with_lines(package.program) if rank_calls else set()
        self.last = last_uses(package.manifest["operators"]) if rank_calls else {}
        self.calls = [self.call_for(call, package, kernels) for call in package.manifest["schedule"]]
        self.missing = {i: "a Triton kernel: not allowed (--allow-trace-code)" for i, op in enumerate(package.manifest["operators"])
                        if "kernel" in op and i not in kernels}
        self.substituted = {}

    @staticmethod
    def check_target(package, has_libraries):
        """Whether each operator is there as named, and may run: TorchScript finds one by its name and arguments alone."""
        target = schemas_of(package.names)
        for op in package.manifest["operators"]:
            if not is_of_host(op):
                reason = why_not_on_target(target.get(package.name_of(op)), op, has_libraries)
                if reason:
                    raise RuntimeError(f"{package.name_of(op)}: {reason}")

    def call_for(self, call, package, kernels):
        function, op = getattr(self.module, call["call"]), package.manifest["operators"][call["first"]]
        kernel = kernels.get(call["first"])
        if call["first"] in self.rank_calls:
            return self.rank_step(call, op, package.schemas[op["schema"]], function)
        if kernel is None:
            return function

        def maker(given):
            if "t" in given:
                return lambda: self.get(given["t"][0])
            value = literal(given["v"], [], [])
            return lambda: value

        makers = [maker(given) for given in op["args"]]

        def launch():
            kernel(*[make() for make in makers])
            function()  # Gives back what is not used any more.
        return launch

    def rank_step(self, call, op, schema, function):
        """A call between ranks, and then the function that gives back what is not used any more, where it does anything."""
        made, held, fetch, tensors = self.rank_calls[call["first"]], self.held, self.module._c._get_method("get"), self.tensors

        def taker(slot):
            if tensors[slot].get("external") or tensors[slot]["storage"] < 0:
                return lambda: held[slot]
            return lambda: fetch(slot + RESERVED_SLOTS)

        takers = [(a.is_list, [taker(slot) for slot in given.get("t", ()) if slot >= 0]) for given, a in zip(op["args"], schema.arguments)]
        results = [slot for out in op["outs"] for slot in out]
        kept = [(i, slot) for i, slot in enumerate(results) if slot >= 0 and self.last[slot] > call["first"]]
        frees, put = call["call"] in self.frees, self.put

        def step():
            found = made.make(*[[take() for take in slots] if is_list else slots[0]() for is_list, slots in takers])
            if kept:
                found = found if isinstance(found, (list, tuple)) else [found]
                for i, slot in kept:
                    put(slot, found[i])
            if frees:
                function()
        return step

    def put(self, slot, tensor):
        if self.rank_calls and (self.tensors[slot].get("external") or self.tensors[slot]["storage"] < 0):
            self.held[slot] = tensor
        self.module.put(slot + RESERVED_SLOTS, tensor)

    def get(self, slot):
        return self.module.get(slot + RESERVED_SLOTS)
