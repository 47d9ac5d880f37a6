# Moto's server with one mend: SQS deletes one message at a time. Two deletions at once lose what is sent meanwhile and bring each other's message back.
from moto.server import main
from moto.sqs.models import Queue

delete = Queue.delete_message


def delete_alone(self, receipt_handle):
    with self._messages_lock:
        delete(self, receipt_handle)


Queue.delete_message = delete_alone
main()
