# What a package may call: the table of OperatorPolicy.txt. A package is the word of a stranger.

POLICY_TEXT = r"""@@OperatorPolicy.txt@@"""


class Policy:
    """Which operators run: only what the table lists, and only with the texts that it lists."""

    def __init__(self, text):
        self.open, self.closed, self.allowed, self.never, self.words, self.patterns = set(), set(), set(), set(), {}, {}
        self.autograd, self.calls = set(), set()
        for line in text.split("\n"):
            words = line.split("#")[0].split()
            if words[:1] == ["namespace"]:
                self.open.update(words[1:])
            elif words[:1] == ["closed"]:
                self.closed.update(words[1:])
            elif words[:1] == ["allow"]:
                self.allowed.update(words[1:])
            elif words[:1] == ["never"]:
                self.never.update(words[1:])
            elif words[:1] == ["autograd"]:
                self.autograd.add(line[line.index(" ") + 1:].rstrip())
            elif words[:1] == ["call"]:
                self.calls.add(line[line.index(" ") + 1:].rstrip())
            elif words[:1] == ["words"]:
                self.words[words[1]] = set(words[3:])
            elif words[:1] == ["pattern"]:
                self.patterns[words[1]] = re.compile(line[line.index("=") + 2:])

    def why_not_named(self, name):
        """Why operators of a name never run; None where nothing stands against it."""
        space, qualified = name.split("::")[0], name.split(".")[0]
        if space in self.closed and qualified not in self.allowed:
            return f"operators of the namespace {space} do more than compute: they are never run"
        return "it does more than compute: it is never run" if qualified in self.never else None

    def why_not(self, schema, has_libraries):
        """The same for a schema: the target's, where it is known."""
        if schema is None:
            return "its schema is none that generated programs can call"
        reason = self.why_not_named(schema.name)
        if reason:
            return reason
        if not has_libraries and schema.namespace not in self.open and schema.qualified not in self.allowed:
            return f"the namespace {schema.namespace} is not PyTorch's: its operators run only with --load-library"
        if len(schema.text) > 4096:
            return "its schema is longer than any schema is"
        if not schema.returns and not any(a.is_written for a in schema.arguments):
            return "it returns nothing and writes to nothing: TorchScript removes it"
        for argument in schema.arguments:
            is_listed = argument.name in self.words or argument.name in self.patterns
            if argument.base == "str" and not is_listed and not argument.has_default:
                return self.no_text(argument.name)
        return None

    def why_not_with(self, schema, values, has_libraries):
        """The same with literal arguments: by place, a value of Python or None."""
        reason = self.why_not(schema, has_libraries)
        if reason:
            return reason
        for argument, value in zip(schema.arguments, values):
            if any(argument.base != "str" or not self.is_word(argument.name, text) for text in texts_of(value)):
                return self.no_text(argument.name)
        return None

    def why_not_op(self, op, schema, has_libraries):
        """The same for an operator of a manifest; of autograd's calls and those between ranks, only those that the table lists."""
        if op.get("role") == "autograd":
            return None if schema.text in self.autograd else "it is no call of autograd that a benchmark makes"
        if call_of(op) is not None:
            return None if schema.text in self.calls else "it is no call between ranks that a benchmark makes"
        return self.why_not_with(schema, [a.get("v") for a in op["args"]], has_libraries)

    def is_word(self, argument, text):
        pattern = self.patterns.get(argument)
        return text in self.words.get(argument, ()) or pattern is not None and pattern.fullmatch(text) is not None

    @staticmethod
    def no_text(argument):
        return f"its argument '{argument}' is free text, which can name a file, a process or an address: it is never run"


def texts_of(value):
    """The texts in a literal argument of a manifest."""
    if isinstance(value, str):
        return [value]
    return [text for item in value for text in texts_of(item)] if isinstance(value, (list, tuple)) else []


POLICY = Policy(POLICY_TEXT)


class Schema:
    """An operator's schema, as PyTorch prints it."""

    def __init__(self, text):
        end = text.rindex(") -> ")
        self.text, head, self.returns_text = text, text[:end + 1], text[end + 5:]
        self.name = head[:head.index("(")]  # With the overload: aten::add.Tensor.
        self.qualified, self.namespace = self.name.split(".")[0], self.name.split("::")[0]
        self.arguments, keyword_only = [], False
        for item in FORMS.argument.finditer(head, head.index("(") + 1):
            if item.group(0) == "*":
                keyword_only = True
            else:
                self.arguments.append(SchemaArgument(item.group(1), item.group(2), item.group(0), keyword_only))
        inside = self.returns_text[1:-1] if self.returns_text.startswith("(") else self.returns_text
        self.returns = [item.group(1) for item in FORMS.result.finditer(inside)]

    @staticmethod
    def parse(text):
        """A schema; None where the text is none."""
        return Schema(text) if FORMS.schema.fullmatch(text) else None


class SchemaArgument:
    def __init__(self, kind, name, text, keyword_only):
        self.name, self.keyword_only, self.has_default = name, keyword_only, "=" in text[len(kind):]
        aliases = FORMS.alias.findall(kind)  # Of a list, that of its elements if it has none.
        self.is_written = bool(aliases) and "!" in aliases[-1]
        # From the outside in: what lists and optionals are made of. An alias says nothing about that.
        plain = FORMS.alias.sub("", kind)
        self.base = re.match(r"[A-Za-z0-9_.]+", plain).group(0)
        self.base = "int" if self.base == "SymInt" else self.base
        self.layers = re.findall(r"\[|\?", plain[::-1])  # The outermost first.
        self.is_list, self.is_optional = "[" in self.layers, self.layers[:1] == ["?"]


def schemas_of(names):
    """By full name, the schemas of those operators that this PyTorch has."""
    wanted, found = set(names), {}
    for schema in torch._C._jit_get_all_schemas():
        name = _overload_of(schema)
        if name in wanted:
            found[name] = schema
    return found
