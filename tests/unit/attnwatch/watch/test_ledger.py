from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.watch.decision import Settled
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options


def test_videos_that_were_never_asked_for_are_forgotten_when_they_are_deleted():
    ledger = Ledger(Settings(), Options((Path("/o"),), batch="mine"))
    for number in range(500):
        target = Target(Path(f"/o/others/video_{number}.complete.json"))
        ledger.apply(target, Settled(why="in no folder that matches --batch 'mine'", chosen=False))
    ledger.prune(500)
    assert len(ledger.left_out) == 500
    ledger.prune(1)
    assert len(ledger.left_out) == 0
