"""Numbers of how many bits a training computes in: by the device, unless told."""

from tlcli import state

# As /proc/cpuinfo names the instructions that multiply bfloat16.
FAST = ("avx512_bf16", "amx_bf16")


def resolved(setting: str, gpu: bool) -> str:
    """Keras' dtype policy of a `precision` setting.

    A CPU computes in float32 even where it multiplies bfloat16: convolutions take half the time
    then, but the gradients of depthwise ones several times as long.
    """
    if setting != "auto":
        return setting
    return "mixed_bfloat16" if gpu else "float32"


def note(policy: str, gpu: bool) -> str | None:
    """What a person might want to choose otherwise, for the plan; None if nothing."""
    if gpu:
        return None
    fast = set(FAST) & set(state.instructions().split())
    if policy == "float32" and fast:
        return (
            "this processor multiplies bfloat16: precision=mixed_bfloat16 may halve the time, "
            "unless depthwise convolutions are trained"
        )
    if policy == "mixed_float16" or (policy == "mixed_bfloat16" and not fast):
        return f"{policy} is slower than float32 on this processor"
    return None
