"""What a prune run knows before it changes anything: each candidate, and since when it has been one."""

from datetime import timedelta
from uuid import uuid4

from records.exemptions import save_exemptions
from snapshot_protection.exemptions import MAX_HOURS, Exemption, ExemptionRecord
from snapshot_protection.policy import NamedPolicy
from tests.support.prune_trials import prune_trial
from tests.support.prune_world import NAME
from tests.support.watched_runs import within


async def test_what_was_no_candidate_in_a_run_for_want_of_the_policy_begins_its_quarantine_again() -> None:
    with prune_trial() as trial:
        saved = trial.policy
        for policy in (saved, saved, NamedPolicy()):  # deleted for the third night
            trial.policy = policy
            await trial.observe()
            trial.world.jump(hours=23.9)
        trial.policy = saved
        [observed] = await trial.observe()
        assert observed.quarantine
        assert observed.quarantine.since == dict.fromkeys(trial.ids[:2], observed.quarantine.observed)


async def test_an_exemption_keeps_a_snapshot_however_far_ahead_the_clock_was_that_recorded_it() -> None:
    with prune_trial() as trial:
        exemption = Exemption(
            image_id=trial.ids[0],
            until=trial.world.now() + timedelta(hours=MAX_HOURS + 30),
            reason="to be changed",
            approved_by="on call",
            flow_run_id=uuid4(),
        )
        saving = save_exemptions(ExemptionRecord(project=NAME, exemptions=(exemption,)))
        await within(trial.run, saving)
        [observed] = await trial.observe()
        assert [one.image_id for one in observed.planned] == [trial.ids[1]]
