"""The fields of messages by their descriptors: all that a request can say, and where two differ."""

from attention.v1 import attention_service_pb2 as service
from attention.v1 import tensor_pb2

TENSOR = tensor_pb2.Tensor.DESCRIPTOR


def requests_by_method():
    """{method: class of its request} for every method of the service."""
    methods = service.DESCRIPTOR.services_by_name["AttentionService"].methods
    return {each.name: getattr(service, each.input_type.name) for each in methods}


def name_of(field):
    """"Causal.offset"."""
    return f"{field.containing_type.name}.{field.name}"


def fields_within(descriptor):
    """Every field of the message and of all messages within; of tensors only that they are
    there."""
    found = {}
    for field in descriptor.fields:
        found[name_of(field)] = field
        if field.message_type is not None and field.message_type != TENSOR:
            found |= fields_within(field.message_type)
    return found


def differing(before, after):
    """The names of the innermost fields in which two messages of one type differ; tensors are not
    looked into."""
    found = set()
    for field in before.DESCRIPTOR.fields:
        if not _is_set(before, field) and not _is_set(after, field):
            continue
        old, new = getattr(before, field.name), getattr(after, field.name)
        if _is_set(before, field) == _is_set(after, field) and old == new:
            continue
        inner = field.message_type is not None and field.message_type != TENSOR
        both = _is_set(before, field) and _is_set(after, field)
        if inner and both and field.label != field.LABEL_REPEATED:
            found |= differing(old, new)
        elif inner and both and len(old) == len(new):
            found |= set().union(*(differing(*pair) for pair in zip(old, new)))
        else:
            found.add(name_of(field))
    return found


def _is_set(message, field):
    return any(field.number == each.number for each, _ in message.ListFields())


def tensors_within(message, path=""):
    """Yields (path, tensor) for every tensor that is set."""
    for field, content in message.ListFields():
        if field.message_type is None:
            continue
        repeated = field.label == field.LABEL_REPEATED
        for index, each in enumerate(content if repeated else [content]):
            place = f"{path}{field.name}" + (f"[{index}]" if repeated else "")
            if field.message_type == TENSOR:
                yield place, each
            else:
                yield from tensors_within(each, f"{place}.")
