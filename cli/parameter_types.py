"""Types of the options that several commands have."""

from typing import Annotated

from cyclopts import Parameter

Projects = Annotated[tuple[str, ...], Parameter(name="--project", metavar="NAME")]
LabelSelector = Annotated[str, Parameter(metavar="SELECTOR")]
PolicyName = Annotated[str, Parameter(name="--policy", metavar="NAME")]
Seconds = Annotated[float, Parameter(metavar="SECONDS")]
Days = Annotated[float, Parameter(metavar="DAYS")]
Number = Annotated[int, Parameter(metavar="NUMBER")]
Hours = Annotated[float, Parameter(metavar="HOURS")]
Json = Annotated[bool, Parameter(name="--json")]
