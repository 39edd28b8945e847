"""Every error that Motet raises on purpose.

    MotetError
    ├── ConfigError                  the config is wrong; names line and field
    ├── TableError                   a routing table is wrong; names column and row
    ├── ArtifactError                a trained artifact is absent, damaged or stale
    ├── SourceError                  weights cannot be fetched or converted
    ├── DeployError                  the service cannot be started or joined
    ├── BatchError                   a batch cannot be begun, or not go on
    ├── StoreError              503  what is kept cannot be read or written
    ├── NoWall                       what a model wrote cannot be run safely here
    ├── InternalError           500  code that Motet does not own failed, or its own did
    ├── Unauthorized            401  the service wants a key
    ├── RequestError            400  the client must change the request
    │   ├── UnknownModel        404
    │   ├── NotFound            404  no file or batch has that id
    │   ├── ContextLengthExceeded
    │   ├── InputTooLong             a text does not fit the encoder that is to read it
    │   ├── ContentFiltered          a screen has flagged the prompt or the answer
    │   ├── UnsupportedRequest       no expert has the capability it needs
    │   ├── BudgetExceeded           its token or cost budget, or fan-out cap, is used up
    │   ├── RateLimited         429  its key asks more than its limits allow
    │   ├── BudgetSpent         429  its key has spent what it may
    │   ├── QuotaExceeded            what the caller keeps would be more than it may be
    │   ├── InvalidLine              a line of a batch's input is no request
    │   ├── ConfigRefused            a config that was sent is wrong; the running one goes on
    │   ├── Forbidden           403  the key lacks the scope
    │   ├── ForeignSite         403  a page of another site asks, or another name is asked
    │   ├── UnsupportedMedia    415  the body is of another type than JSON
    │   ├── RequestTimeout      408  its body did not arrive in time
    │   └── RequestTooLarge     413
    ├── DeadlineExceeded        504  the composition's time is up
    ├── ApplyFailed             409  a new config did not come up; the running one goes on
    ├── ServiceStopping         503  the service stops before the answer is whole
    ├── NoExpertAvailable       503  nothing in the fleet can answer now
    └── ExpertError             502  one expert failed; another may do better
        ├── ExpertUnavailable   503
        ├── ExpertOverloaded    429
        ├── ExpertTimeout       504
        └── ExpertRejected      400  the expert refuses this request; asking again will not help

`status` is the HTTP status, `type` and `code` are OpenAI's fields of the error body, `retryable`
says whether the same request may succeed later or elsewhere, `hint` says what to do.
"""

from motet.errors.answering import (
    ApplyFailed,
    DeadlineExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
    NoExpertAvailable,
    ServiceStopping,
)
from motet.errors.base import (
    ArtifactError,
    BatchError,
    ConfigError,
    DeployError,
    InternalError,
    MotetError,
    NoWall,
    SourceError,
    StoreError,
    TableError,
    first_of,
    restore,
)
from motet.errors.requests import (
    BudgetExceeded,
    BudgetSpent,
    ConfigRefused,
    ContentFiltered,
    ContextLengthExceeded,
    Forbidden,
    ForeignSite,
    InputTooLong,
    InvalidLine,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RequestError,
    RequestTimeout,
    RequestTooLarge,
    Unauthorized,
    UnknownModel,
    UnsupportedMedia,
    UnsupportedRequest,
)

__all__ = [
    "ApplyFailed",
    "ArtifactError",
    "BatchError",
    "BudgetExceeded",
    "BudgetSpent",
    "ConfigError",
    "ConfigRefused",
    "ContentFiltered",
    "ContextLengthExceeded",
    "DeadlineExceeded",
    "DeployError",
    "ExpertError",
    "ExpertOverloaded",
    "ExpertRejected",
    "ExpertTimeout",
    "ExpertUnavailable",
    "Forbidden",
    "ForeignSite",
    "InputTooLong",
    "InternalError",
    "InvalidLine",
    "MotetError",
    "NoExpertAvailable",
    "NoWall",
    "NotFound",
    "QuotaExceeded",
    "RateLimited",
    "RequestError",
    "RequestTimeout",
    "RequestTooLarge",
    "ServiceStopping",
    "SourceError",
    "StoreError",
    "TableError",
    "Unauthorized",
    "UnknownModel",
    "UnsupportedMedia",
    "UnsupportedRequest",
    "first_of",
    "restore",
]
