"""`tl gather`: join the shares of a prediction, or say what is missing."""

from tlcli.commands import predict
from tlcli.config.checking import Checked
from tlcli.config.settings import Gather
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError
from tlcli.runs import output, shares
from tlcli.system import console
from tlcli.system.located import located
from tlcli.system.shown import shown, typed


def run(checked: Checked[Gather, None]) -> int:
    """Join as configured; 1 when any picture could not be read, as `tl predict` has it.

    Raises:
        DataError: A share is missing, there twice, damaged, or of another prediction.
    """
    console.start_log(None)
    settings = checked.settings
    place = output.place(settings.output, settings.overwrite)
    given = [located(one, "parts") for one in settings.parts]
    if any(one.resolve() == place.resolve() for one in given):
        remedy = "Give another output."
        raise ConfigError("output", f"{shown(place)} is one of the shares", remedy)
    paths, facts = shares.ordered(given)

    count, failed = predict.written(place, shares.joined(paths, facts), facts.told)
    console.say(f"{'gathered':<10} {count} pictures of {facts.of} shares in {typed(place)}")
    return predict.told(count, failed, LeftOut(), "gather")
