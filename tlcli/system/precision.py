"""Numbers of how many bits a training computes in: by the device, unless told."""

from tlcli.system.surroundings import instructions

# Instruction sets of x86 that multiply bfloat16; all processors with tiles have them for it.
FAST = {"avx512_bf16", "amx_tile"}


def resolved(setting: str, gpu: bool) -> str:
    """Keras' dtype policy of a `precision` setting, "auto" or a policy.

    A CPU computes in float32 even where it multiplies bfloat16: convolutions take half the time
    then, but the gradients of depthwise ones several times as long.
    """
    if setting != "auto":
        return setting
    return "mixed_bfloat16" if gpu else "float32"


def note(setting: str, gpu: bool) -> str | None:
    """What the plan says of a `precision` setting; None where another would hardly be faster."""
    kind, *found = instructions().split()
    if gpu or kind not in ("x86_64", "AMD64") or not found:
        return None  # of other processors nothing is known
    fast = bool(FAST & set(found))
    if setting == "auto" and fast:
        return (
            "this processor multiplies bfloat16: precision=mixed_bfloat16 may halve the time, "
            "unless depthwise convolutions are trained"
        )
    if setting == "mixed_bfloat16" and not fast:
        return "this processor does not multiply bfloat16: precision=float32 is faster"
    return None
