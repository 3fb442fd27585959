"""What every section of the configuration is made of. A string below a field is its line in the reference."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def _plain_name(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError("a name is printable text without spaces around it")
    return name


Name = Annotated[str, AfterValidator(_plain_name)]


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
