# Settings: the switches of PyTorch that decide which kernels run. Each on its own: a newer PyTorch may refuse to tell one.

# By name: what to read below torch, and what to set; a name that ends with () is called. With no second one it is set where it is read.
_SWITCHES = {
    "deterministic": ("are_deterministic_algorithms_enabled()", "use_deterministic_algorithms()"),
    "deterministic_debug_mode": ("get_deterministic_debug_mode()", "set_deterministic_debug_mode()"),  # 1: a warning, 2: an error.
    "fill_uninitialized_memory": ("utils.deterministic.fill_uninitialized_memory",),
    "float32_matmul_precision": ("get_float32_matmul_precision()", "set_float32_matmul_precision()"),
    "matmul_allow_tf32": ("backends.cuda.matmul.allow_tf32",),
    "matmul_allow_fp16_reduced_precision_reduction": ("backends.cuda.matmul.allow_fp16_reduced_precision_reduction",),
    "matmul_allow_bf16_reduced_precision_reduction": ("backends.cuda.matmul.allow_bf16_reduced_precision_reduction",),
    "matmul_allow_fp16_accumulation": ("backends.cuda.matmul.allow_fp16_accumulation",),
    "preferred_blas_library": ("backends.cuda.preferred_blas_library()",),
    "preferred_linalg_library": ("backends.cuda.preferred_linalg_library()",),
    "flash_sdp": ("backends.cuda.flash_sdp_enabled()", "backends.cuda.enable_flash_sdp()"),
    "mem_efficient_sdp": ("backends.cuda.mem_efficient_sdp_enabled()", "backends.cuda.enable_mem_efficient_sdp()"),
    "math_sdp": ("backends.cuda.math_sdp_enabled()", "backends.cuda.enable_math_sdp()"),
    "cudnn_sdp": ("backends.cuda.cudnn_sdp_enabled()", "backends.cuda.enable_cudnn_sdp()"),
    "mkldnn_enabled": ("_C._get_mkldnn_enabled()", "_C._set_mkldnn_enabled()"),
    "cudnn_enabled": ("backends.cudnn.enabled",),
    "cudnn_benchmark": ("backends.cudnn.benchmark",),
    "cudnn_benchmark_limit": ("backends.cudnn.benchmark_limit",),
    "cudnn_deterministic": ("backends.cudnn.deterministic",),
    "cudnn_allow_tf32": ("backends.cudnn.allow_tf32",),
    "fp32_precision": ("backends.fp32_precision",),
    "matmul_fp32_precision": ("backends.cuda.matmul.fp32_precision",),
    "conv_fp32_precision": ("backends.cudnn.conv.fp32_precision",),
    "rnn_fp32_precision": ("backends.cudnn.rnn.fp32_precision",),
    "mkldnn_matmul_fp32_precision": ("backends.mkldnn.matmul.fp32_precision",),
    "mkldnn_conv_fp32_precision": ("backends.mkldnn.conv.fp32_precision",),
    "mkldnn_rnn_fp32_precision": ("backends.mkldnn.rnn.fp32_precision",),
    "default_dtype": ("get_default_dtype()", ""),  # Operators have their types: it is told, and not set.
}

# The precision of float32, as PyTorch up to 2.8 has it and as 2.9 and newer have it. Reading or setting both is an error there.
_OLD_PRECISION = ("float32_matmul_precision", "matmul_allow_tf32", "cudnn_allow_tf32")
_NEW_PRECISION = tuple(name for name in _SWITCHES if name.endswith("fp32_precision"))


def _found_below(torch, path):
    """The owner of a name below torch, and the last part of it; AttributeError where this PyTorch lacks it."""
    *above, last = path.rstrip("()").split(".")
    owner = torch
    for part in above:
        owner = getattr(owner, part)
    getattr(owner, last)
    return owner, last


def _read_setting(torch, name):
    path = _SWITCHES[name][0]
    owner, last = _found_below(torch, path)
    value = getattr(owner, last)
    return value() if path.endswith("()") else value


def _settings_of(torch):
    """The settings that this PyTorch has, as texts, and why others cannot be told."""
    found, problems = {}, []
    for name in _SWITCHES:
        try:
            value = str(_read_setting(torch, name))
            found[name] = value.replace("torch.", "").replace("_BlasBackend.", "").replace("_LinalgBackend.", "").lower()
        except (AttributeError, AssertionError):
            pass  # This PyTorch does not have it.
        except Exception as error:  # 2.9 and newer: the job uses the other way of asking for precision.
            problems.append(f"the setting {name} cannot be read: {type(error).__name__}: {error}".splitlines()[0][:300])
    return found, problems


def _apply_settings(torch, settings, kind):
    """Sets what was recorded; returns what was set to something else than before, and a note for each that could not be.

    What is CUDA's alone is nothing to another kind of device.
    """
    changed, notes = {}, []
    for name, text in _in_words_of(torch, settings).items():
        # Attention is chosen among by its switches on the host, too.
        is_others = kind != "cuda" and "backends.cu" in _SWITCHES.get(name, ("",))[0] and not name.endswith("_sdp")
        if name not in _SWITCHES or _SWITCHES[name][1:] == ("",) or is_others:
            continue
        try:
            before = str(_read_setting(torch, name)).split(".")[-1].lower()
        except AttributeError:
            if text not in ("false", "none", "default"):
                notes.append(f"PyTorch {torch.__version__} has no setting {name}, which was {text}")
            continue
        except Exception:
            before = None  # It can be set all the same.
        if before == text:
            continue
        try:
            owner, last = _found_below(torch, _SWITCHES[name][-1])
            if _SWITCHES[name][-1].endswith("()"):
                getattr(owner, last)(_value_of(text))
            else:
                setattr(owner, last, _value_of(text))
            changed[name] = text
        except Exception as error:
            notes.append(f"the setting {name} cannot be {text} here: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    return changed, notes


# Variables that decide which kernels run, or how memory is given out, on an accelerator.
_DECIDING_VARIABLES = (
    "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING", "CUBLAS_WORKSPACE_CONFIG",
    "CUBLASLT_WORKSPACE_SIZE", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "TORCH_CUDNN_V8_API_DISABLED", "TORCH_CUDNN_USE_HEURISTIC_MODE_B",
    "TORCH_BLAS_PREFER_CUBLASLT", "AMD_SERIALIZE_KERNEL", "GPU_MAX_HW_QUEUES", "HIP_FORCE_DEV_KERNARG")


def _differences_of_environment(recorded):
    """What the original's environment had that this process's has otherwise: a trace's words set no variable, they are only told."""
    def told(value):
        return "not set" if value is None else value
    return [f"{name} was {told(recorded.get(name))}, and is {told(os.environ.get(name))} here" for name in _DECIDING_VARIABLES
            if recorded and recorded.get(name) != os.environ.get(name)]


def _in_words_of(torch, settings):
    """Recorded settings without those that say nothing: a job asks for precision in the old way or in the new one, not in both.

    Where it asked in the new way and this PyTorch has only the old one, in that.
    """
    new = {n: settings[n] for n in _NEW_PRECISION if settings.get(n, "none") != "none"}
    if not new:
        return {n: v for n, v in settings.items() if n not in _NEW_PRECISION}
    words = {n: v for n, v in settings.items() if n not in _OLD_PRECISION}
    if not hasattr(torch.backends, "fp32_precision"):
        words = {n: v for n, v in words.items() if n not in _NEW_PRECISION}
        whole = new.get("fp32_precision", "ieee")
        words["matmul_allow_tf32"] = str(new.get("matmul_fp32_precision", whole) == "tf32").lower()
        words["cudnn_allow_tf32"] = str("tf32" in (new.get("conv_fp32_precision", whole), new.get("rnn_fp32_precision", whole))).lower()
    return words


# What attention is done by, and the setting that allows it (torch.nn.attention.SDPBackend).
_ATTENTION = {"flash": "flash_sdp", "efficient": "mem_efficient_sdp", "math": "math_sdp", "cudnn": "cudnn_sdp"}


def _pins_of(texts):
    """Settings by name, of NAME=VALUE each; attention=flash stands for its four switches. ValueError for what is none."""
    pins = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value or "=" in value or name == "attention" and value not in _ATTENTION:
            raise ValueError(f"{text} is no NAME=VALUE; attention is flash, efficient, math or cudnn")
        pins.update({setting: str(word == value).lower() for word, setting in _ATTENTION.items()} if name == "attention" else {name: value})
    return pins


def _value_of(text):
    """A setting's value of its text: a switch, a number, nothing or a word."""
    return {"true": True, "false": False, "none": None}.get(text, int(text) if text.isdigit() else text)
