"""ARNs."""

import pytest

from lambent.aws.arn import Arn, partition_of


@pytest.mark.parametrize(
    "text", ["arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST", "arn:aws:s3:::bucket/a:b"]
)
def test_an_arn_prints_as_it_was_parsed(text: str) -> None:
    assert str(Arn.parse(text)) == text


def test_the_resource_is_all_that_follows_the_account() -> None:
    assert Arn.parse("arn:aws:lambda:r:1:function:f:7").resource == "function:f:7"


@pytest.mark.parametrize(
    "text", ["", "f", "arn:aws:lambda", "nra:aws:lambda:r:1:f", "arn::lambda:r:1:f", "arn:aws::r:1:f"]
)
def test_anything_else_is_no_arn(text: str) -> None:
    with pytest.raises(ValueError, match="not an ARN"):
        Arn.parse(text)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
    ],
)
def test_a_region_has_its_partition(region: str, partition: str) -> None:
    assert partition_of(region) == partition
