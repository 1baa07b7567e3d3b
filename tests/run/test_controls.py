"""Which recordings of a screen are kept."""

from llamatop.events.kinds import EngineLost
from llamatop.run.controls import Idle, Stage
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session


def test_an_engine_lost_while_it_loads_leaves_its_recording() -> None:
    session = Session()
    stage = Stage(Pump(Idle(), session))
    assert not stage.worth_keeping
    session.apply(EngineLost(1, -9, "killed by SIGKILL"))
    assert stage.worth_keeping
