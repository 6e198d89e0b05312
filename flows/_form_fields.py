"""Types of parameters whose bounds are in the schema, so that the UI's forms and the API know them.

Pydantic does not enforce them: a flow validates its parameters itself, also of a run that skips the schema.
"""

from typing import Annotated

from pydantic import Field

from snapshot_protection.exemptions import MAX_HOURS
from snapshot_protection.parameters import MIN_REASON_LENGTH

TimeoutSeconds = Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0})]
GraceHours = Annotated[float, Field(json_schema_extra={"minimum": 0})]
ExemptionHours = Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": MAX_HOURS})]
QuarantineDays = Annotated[float, Field(json_schema_extra={"minimum": 0})]
Count = Annotated[int, Field(json_schema_extra={"minimum": 1})]
CountOrAutomatic = Annotated[int, Field(json_schema_extra={"minimum": 0})]
ImageIds = Annotated[list[int], Field(json_schema_extra={"minItems": 1})]
Reason = Annotated[str, Field(json_schema_extra={"minLength": MIN_REASON_LENGTH})]
