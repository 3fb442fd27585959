"""The error tree. A class exists when somebody treats it differently; status, type and code follow the OpenAI shape.

GatewayError
├── ConfigurationError          a file that cannot be used; the command line prints it and ends with 1
├── InvalidRequestError         400, the client's to mend
│   ├── ContextLengthError      400, too long for every allowed model
│   ├── NoCapableModelError     400, nobody can do what is asked
│   ├── InvalidKeyError         401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404, a path or a decision
│   │   └── UnknownModelError
│   ├── NotAllowedError         405
│   ├── FeedbackConflictError   409, another score was given before
│   └── TooLargeError           413
├── NoHeadroomError             429, come back soon
├── RateLimitError              429, the key's own limit
├── BudgetSpentError            429, do not come back
├── LogUnavailableError         503, the decision log's database does not answer
├── DeadlineError               504, it passed while an upstream was running
└── UpstreamError               502, the endpoint's fault
    ├── UpstreamCredentialsError    502, ours are refused: for the operator to mend
    ├── UpstreamBusyError           429, its own: go elsewhere, and leave it alone for a while
    ├── UpstreamRejectedError       the upstream's own 4xx, passed on as it came
    ├── UpstreamToldError           it said so itself, inside its stream
    └── NoHealthyEndpointError      503, everyone is down
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class GatewayError(Exception):
    """Anything that this gateway says no with.

    `param` names the field at fault; `retry_after` is in seconds, None when coming back does not help.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = ""  # sent as null
    should_retry: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class ConfigurationError(GatewayError):
    """A configuration, pool or artifact that cannot be used. The message names the place and the mend."""


class InvalidRequestError(GatewayError):
    status, type = 400, "invalid_request_error"


class ContextLengthError(InvalidRequestError):
    code = "context_length_exceeded"


class NoCapableModelError(InvalidRequestError):
    code = "no_capable_model"


class InvalidKeyError(InvalidRequestError):
    status, code = 401, "invalid_api_key"


class PermissionDeniedError(InvalidRequestError):
    status, type = 403, "permission_error"


class NotFoundError(InvalidRequestError):
    status = 404


class UnknownModelError(NotFoundError):
    code = "model_not_found"


class NotAllowedError(InvalidRequestError):
    status = 405


class FeedbackConflictError(InvalidRequestError):
    """The first score of a decision stays."""

    status, code = 409, "feedback_conflict"


class TooLargeError(InvalidRequestError):
    status, code = 413, "request_too_large"


class NoHeadroomError(GatewayError):
    """Every endpoint that could answer stayed full until the query's deadline."""

    status, type, code, should_retry = 429, "overloaded", "no_headroom", True


class RateLimitError(GatewayError):
    """The key's own rate is used up; `rates` are the `x-ratelimit-*` headers that say so, without that prefix."""

    status, type, code, should_retry = 429, "rate_limit_error", "rate_limit_exceeded", True

    def __init__(
        self, message: str, *, retry_after: float | None = None, rates: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.rates = dict(rates or {})


class BudgetSpentError(GatewayError):
    status, type, code = 429, "insufficient_quota", "insufficient_quota"


class LogUnavailableError(GatewayError):
    """The decision log's database refused, failed or was silent. Queries do not notice."""

    status, code, should_retry = 503, "log_unavailable", True


class DeadlineError(GatewayError):
    """The query's time ran out while an upstream was at work."""

    status, type = 504, "timeout_error"


class UpstreamError(GatewayError):
    """An endpoint failed: refused, reset, 5xx, nonsense or too slow. `endpoint` is its name."""

    status, type, code = 502, "upstream_error", "upstream_failed"

    def __init__(self, message: str, *, endpoint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.endpoint = endpoint


class UpstreamCredentialsError(UpstreamError):
    """The endpoint refuses the operator's key."""

    code = "upstream_credentials"


class UpstreamBusyError(UpstreamError):
    """The endpoint has enough for now; `retry_after` is what it asked for, in seconds."""

    status, type, code, should_retry = 429, "overloaded", "no_headroom", True


class UpstreamRejectedError(UpstreamError):
    """The endpoint's own 4xx: the client's error, passed on with the upstream's status and body."""

    def __init__(self, body: bytes, *, upstream_status: int, endpoint: str = "") -> None:
        super().__init__(f"{endpoint} answered {upstream_status}", endpoint=endpoint)
        self.body = body  # in OpenAI shape
        self.upstream_status = upstream_status


class UpstreamToldError(UpstreamError):
    """The endpoint failed in the middle of a stream, and its own error event has gone on to the client."""


class NoHealthyEndpointError(UpstreamError):
    status, code, should_retry = 503, "no_healthy_endpoint", True
