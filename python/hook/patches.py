# Patches: wrappers in the places of classes' methods, and how to take them away.


class _Patch:
    """A wrapper in the place of a class's method. One that somebody else holds when it is gone calls the method, and nothing more."""

    def __init__(self, owner, name, make):
        import functools
        self.owner, self.name, self.is_live = owner, name, True
        self.own = owner.__dict__.get(name)
        # What is inherited is looked up at each call: the job, or PyTorch, may replace it in the base class for a while.
        call = getattr(owner, name) if self.own is not None else lambda this, *a, **k: getattr(super(owner, this), name)(*a, **k)
        self.wrapped = functools.wraps(getattr(owner, name))(make(call, self))
        setattr(owner, name, self.wrapped)

    def pause(self):
        """Takes the wrapper away for a while, where it is still in its place."""
        if self.owner.__dict__.get(self.name) is self.wrapped:
            if self.own is not None:
                setattr(self.owner, self.name, self.own)
            else:
                delattr(self.owner, self.name)

    def resume(self):
        if self.is_live and self.owner.__dict__.get(self.name) is self.own:
            setattr(self.owner, self.name, self.wrapped)

    def take_away(self):
        self.is_live = False
        self.pause()


class _Patches:
    """Those of one purpose."""

    made = []  # All of them: a start that fails half-way takes back what it did.

    def __init__(self):
        self.undo = []
        _Patches.made.append(self)

    def add(self, owner, name, make):
        """Puts what `make` makes of a method, and of its patch, in the method's place."""
        self.undo.append(_Patch(owner, name, make))

    def has(self, owner):
        return any(patch.owner is owner for patch in self.undo)

    def take_away(self, owner=None):
        """All of them, or those of one class."""
        for patch in [p for p in self.undo if owner is None or p.owner is owner]:
            patch.take_away()
            self.undo.remove(patch)
