"""What a plan contradicts itself in: it can be done, and will teach little."""

from tlcli.models.student import count
from tlcli.training.plan import Plan

# Part of the network's numbers below which a phase is said to freeze it; what is left are heads,
# biases or factors.
WHOLE = 0.9
# What the network computes of its images, which no strategy trains.
_COUNTED = ("moving_mean", "moving_variance", "seed_generator_state")


def texts(plan: Plan) -> list[str]:
    """Half a sentence for each doubt, and what to type instead.

    A strategy that freezes, or goes slowly, keeps what was learnt before; random weights have
    learnt nothing.
    """
    pieces = plan.pieces
    if pieces.loaded.source != "random" or not plan.phases:
        return []
    total = count(v for v in plan.lesson.student.model.variables
                  if not v.path.endswith(_COUNTED))  # fmt: skip
    values = pieces.job.config["finetune"]
    named, instead = f"finetune={values['name']}", "type finetune=full finetune.rate=1"
    most = max(phase.trained for phase in plan.phases)
    if most < WHOLE * total:
        never = f"leaves {100 * (1 - most / total):.0f} % of its numbers as they are"
        return [f"the backbone's weights are random, and {named} {never}: {instead}"]
    frozen = sum(p.phase.epochs for p in plan.phases if p.trained < WHOLE * total)
    if frozen:
        spent = f"spends {frozen:.3g} of {sum(p.phase.epochs for p in plan.phases):.3g} epochs"
        return [f"the backbone's weights are random, and {named} {spent} on parts of it: {instead}"]
    if values.get("rate", 1.0) < 1:
        slow = f"finetune.rate={values['rate']:g} is for pretrained weights"
        return [f"the backbone's weights are random, and {slow}: {instead}"]
    return []
