"""A run: every question to every model, by as many at once as its endpoints take, each answer graded and noted."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.errors import UpstreamError, UpstreamRejectedError
from gateway.lab.collect.grading import Kind, grade
from gateway.lab.collect.journal import Record
from gateway.lab.collect.judging import LENGTH, question, verdict
from gateway.lab.collect.purse import BudgetReachedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.fleet import Fleet
    from gateway.domain import Model
    from gateway.lab.collect.asking import Answer, Asker
    from gateway.lab.collect.journal import Journal
    from gateway.lab.collect.prompts import Question

NO_VERDICT: Final = "no_verdict"
UNJUDGED: Final = "judge: "  # how an error begins that is the judge's


@dataclass(frozen=True, slots=True)
class Cell:
    """One question for one model, and what an earlier run made of it."""

    question: Question
    model: Model
    known: Record | None

    @property
    def answered(self) -> bool:
        """All that may be missing is a score."""
        return self.known is not None and _answered(self.known)

    @property
    def done(self) -> bool:
        return self.known is not None and _done(self.question, self.known)


class Run:
    """Goes through the cells that have no score yet.

    Args:
        fleet: what is configured.
        asker: of its endpoints.
        journal: open; records are added as they come.
        judge: the model that judges, where a question asks for one.
        ended: told of each cell when it has ended, in this run or an earlier one.
    """

    def __init__(
        self, fleet: Fleet, asker: Asker, journal: Journal, *, judge: Model | None, ended: Callable[[], None]
    ) -> None:
        self._fleet = fleet
        self._asker = asker
        self._journal = journal
        self._judge = judge
        self._ended = ended

    async def __call__(self, questions: Sequence[Question], models: Sequence[Model]) -> None:
        """Asks until every cell has ended, or the budget has."""
        async with asyncio.TaskGroup() as group:
            for model in models:
                known = self._journal.records
                cells = deque(Cell(each, model, known.get((each.mark, model.name))) for each in questions)
                for _ in range(min(len(cells), self._at_once(model))):
                    group.create_task(self._work(cells))

    def _at_once(self, model: Model) -> int:
        places = self._fleet.endpoints_of_model[model.name]
        return sum(self._fleet.endpoints[index].capacity.concurrency for index in places)

    async def _work(self, cells: deque[Cell]) -> None:
        while cells:
            cell = cells.popleft()
            if not cell.done:
                try:
                    await self._end(cell)
                except BudgetReachedError:
                    return
            self._ended()

    async def _end(self, cell: Cell) -> None:
        """Has it answered unless it is, then graded; every step is noted before the next costs money."""
        known = cell.known if cell.known and cell.answered else await self._answer(cell)
        if _answered(known) and not _done(cell.question, known):
            self._journal.add(await self._graded(cell.question, known))

    async def _answer(self, cell: Cell) -> Record:
        asked = cell.question
        try:
            answer = await self._asker.ask(cell.model, asked.messages, asked.tools)
        except UpstreamError as error:
            record = Record(asked.mark, cell.model.name, error=error_name(error))
        else:
            record = _record(asked, cell.model, answer)
        self._journal.add(record)
        return record

    async def _graded(self, asked: Question, known: Record) -> Record:
        grader = asked.grader
        if grader.kind is not Kind.JUDGE:
            return replace(known, score=grade(grader, known.text), error="", grader=grader.mark, paid_usd=0.0)
        if self._judge is None:
            raise ValueError("a question asks for a judge, and none is named")
        try:
            said = await self._asker.ask(self._judge, question(grader, asked.text, known.text), most=LENGTH)
        except UpstreamError as error:
            return replace(known, score=None, error=UNJUDGED + error_name(error), paid_usd=0.0)
        score = verdict(said.text)
        missing = "" if score is not None else UNJUDGED + NO_VERDICT
        return replace(known, score=score, error=missing, grader=grader.mark, paid_usd=said.cost_usd)


def _answered(record: Record) -> bool:
    return not record.error or record.error.startswith(UNJUDGED)


def _done(asked: Question, record: Record) -> bool:
    """Scored, and as the question is graded now."""
    return record.score is not None and record.grader == asked.grader.mark


def _record(asked: Question, model: Model, answer: Answer) -> Record:
    """Graded, unless a judge is to do that."""
    judged = asked.grader.kind is Kind.JUDGE
    return Record(
        mark=asked.mark,
        model=model.name,
        score=None if judged else grade(asked.grader, answer.text),
        grader=asked.grader.mark,
        error=UNJUDGED + "not yet" if judged else "",
        text=answer.text,
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        cost_usd=answer.cost_usd,
        latency_s=round(answer.latency_s, 4),
        estimated=answer.usage.estimated,
        paid_usd=answer.cost_usd,
    )


def error_name(error: UpstreamError) -> str:
    """What errors are counted by."""
    if isinstance(error, UpstreamRejectedError):
        return f"{error.upstream_status} rejected"
    return f"{error.status} {error.code}"
