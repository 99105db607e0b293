"""The table of all operations. Apart from `service`, so that a server without queues does not load them."""

from lambent.aws.keys import KeyRing
from lambent.aws.service import Operations
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.moves import MoveApi
from lambent.services.sqs.api.permissions import PermissionApi
from lambent.services.sqs.api.queues import QueueApi
from lambent.services.sqs.api.receipts import ReceiptApi
from lambent.services.sqs.api.receive import ReceiveApi
from lambent.services.sqs.api.send import SendApi
from lambent.services.sqs.api.tags import TagApi
from lambent.services.sqs.broker import Broker


def operations(broker: Broker, keys: KeyRing) -> Operations:
    access = Access(broker)
    apis = (
        QueueApi(broker, access),
        SendApi(broker, access, keys),
        ReceiveApi(broker, access),
        ReceiptApi(broker, access),
        TagApi(broker, access),
        PermissionApi(broker, access),
        MoveApi(broker, access),
    )
    return {name: handler for api in apis for name, handler in api.operations().items()}
