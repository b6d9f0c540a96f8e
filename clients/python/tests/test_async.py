"""The same in coroutines: nothing blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import time
import unittest

from .lab import COX, PAGE, WHERE, LabTest, lab


class Coroutines(LabTest):
    def test_run_is_awaited(self) -> None:
        study = self.study("coroutine")
        cox, age = study.cox(COX), study.summary("age")

        async def main() -> None:
            one, two = await asyncio.gather(study.run(cox), study.run(age))
            self.assertEqual(one[cox].nobs, two[age].tidy()["n"][0])

        asyncio.run(main())

    def test_jobs_at_once_do_not_refuse_each_other(self) -> None:
        study = self.study("at-once")
        made = [study.summary(it, id=f"only-{it}") for it in ("age", "hba1c", "months")]

        async def main() -> None:
            results = await asyncio.gather(*(study.run(it) for it in made))
            self.assertEqual([it.analyses for it in results], [[it.id] for it in made])

        asyncio.run(main())

    def test_run_without_await_waits_when_it_is_read(self) -> None:
        study = self.study("coroutine")
        age = study.summary("age")

        async def main() -> object:
            res = study.run(age)
            self.assertIn("await", repr(res))
            return res[age].tidy()["n"][0]

        self.assertGreater(asyncio.run(main()), 100)

    def test_other_coroutines_go_on(self) -> None:
        study = self.study("coroutine")
        cox = study.cox(COX)

        async def main() -> float:
            running = asyncio.ensure_future(study.run(cox)._awaited())
            longest = 0.0
            while not running.done():
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)
            self.assertIsNotNone((await running)[cox].nobs)
            return longest

        # a run takes a second or more
        self.assertLess(asyncio.run(main()), 0.6)

    def test_a_job_is_awaited_and_followed(self) -> None:
        study = self.study("coroutine")

        async def main() -> None:
            job = study.start(study.summary("age"))
            states = [it["state"] async for it in job]
            self.assertEqual(states[-1], "released")
            self.assertEqual((await job).analyses, ["summary"])

        asyncio.run(main())

    def test_the_pages_second_block_runs(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        study = self.study("page")
        scope: "dict[str, object]" = {"study": study}
        exec(blocks[1], scope)  # the page is what is tested
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            asyncio.run(scope["both"](study.summary("age"), study.summary("hba1c")))  # type: ignore[operator]
        self.assertTrue(said.getvalue().endswith("released\n"))

    def test_errors_come_where_it_is_awaited(self) -> None:
        study = self.study("coroutine")

        async def main() -> None:
            with self.assertRaisesRegex(self.k.StudyError, "K0203"):
                await study.run(study.cox("Surv(months, died) ~ aeg"))

        asyncio.run(main())

    def test_who_no_longer_waits_leaves_the_job_going_on(self) -> None:
        net = self.k.connect(lab("by-hand", by_hand=True))
        self.addCleanup(net.close)
        study = net.study("left", where=WHERE)

        async def main() -> object:
            job = study.start(study.summary("age"))
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(job, 1.0)
            return job

        job = asyncio.run(main())
        self.assertFalse(job.refresh().is_over)
        job.cancel()


if __name__ == "__main__":
    unittest.main()
