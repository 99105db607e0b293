"""Event patterns against documents; the rows are those of the EventBridge guide and of the specification, 6.7."""

import pytest

from lambent.aws.event_pattern import InvalidPattern, document, parse


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("{}", ['{"a":1}', "{}"], []),
        ('{"a":["x"]}', ['{"a":"x"}', '{"a":["y","x"]}'], ['{"a":"X"}', '{"b":"x"}', '{"a":{"x":1}}', "{}", "1"]),
        ('{"a":["x","y"]}', ['{"a":"y"}'], ['{"a":"z"}']),
        ('{"a":[1],"b":[2]}', ['{"a":1,"b":2}'], ['{"a":1}', '{"a":1,"b":3}']),
        # Numbers are compared by their text.
        ('{"a":[300]}', ['{"a":300}'], ['{"a":300.0}', '{"a":"300"}', '{"a":3e2}']),
        ('{"a":[null]}', ['{"a":null}'], ["{}", '{"a":""}', '{"a":false}']),
        ('{"a":[true]}', ['{"a":true}'], ['{"a":"true"}', '{"a":1}', '{"a":false}']),
        ('{"a":[""]}', ['{"a":""}'], ['{"a":null}']),
        # The last of two equal keys counts.
        ('{"a":["x"],"a":["y"]}', ['{"a":"y"}', '{"a":"x","a":"y"}'], ['{"a":"x"}', '{"a":"y","a":"x"}']),
        ('{"a":{"b":["x"]}}', ['{"a":{"b":"x"}}', '{"a":[{"b":"y"},{"b":"x"}]}'], ['{"a":"x"}', '{"a":{}}']),
        # Both fields in one object of the list.
        ('{"a":{"b":[1],"c":[2]}}', ['{"a":[{"b":1,"c":2}]}'], ['{"a":[{"b":1},{"c":2}]}']),
        ('{"a":[{"prefix":"x"}]}', ['{"a":"xy"}', '{"a":"x"}'], ['{"a":"yx"}', '{"a":1}', "{}"]),
        ('{"a":[{"prefix":{"equals-ignore-case":"Ab"}}]}', ['{"a":"aBc"}'], ['{"a":"ca"}']),
        ('{"a":[{"suffix":".png"}]}', ['{"a":"x.png"}'], ['{"a":"x.PNG"}']),
        ('{"a":[{"suffix":{"equals-ignore-case":".png"}}]}', ['{"a":"x.PNG"}'], ['{"a":"png"}']),
        ('{"a":[{"equals-ignore-case":"Alice"}]}', ['{"a":"aLICE"}'], ['{"a":"alicea"}']),
        (
            '{"a":[{"anything-but":"x"}]}',
            ['{"a":"y"}', '{"a":1}', '{"a":null}', '{"a":["x","y"]}'],
            ['{"a":"x"}', "{}"],
        ),
        ('{"a":[{"anything-but":["x",1]}]}', ['{"a":"1"}', '{"a":2}'], ['{"a":"x"}', '{"a":1}', '{"a":{"b":1}}']),
        ('{"a":[{"anything-but":{"prefix":"x"}}]}', ['{"a":"yx"}', '{"a":1}'], ['{"a":"xy"}', "{}"]),
        ('{"a":[{"anything-but":{"suffix":["x","y"]}}]}', ['{"a":"xz"}'], ['{"a":"zy"}']),
        ('{"a":[{"anything-but":{"equals-ignore-case":["X"]}}]}', ['{"a":"y"}'], ['{"a":"x"}']),
        ('{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}', ['{"a":"lib"}'], ['{"a":"x/lib/y"}']),
        ('{"a":[{"numeric":["=",300]}]}', ['{"a":300}', '{"a":300.0}', '{"a":3e2}'], ['{"a":"300"}', '{"a":301}']),
        ('{"a":[{"numeric":[">",0,"<=",5]}]}', ['{"a":5}', '{"a":0.01}'], ['{"a":0}', '{"a":5.01}', "{}"]),
        ('{"a":[{"numeric":["<",-1.5]}]}', ['{"a":-2}', '{"a":-1e999999999}'], ['{"a":-1.5}']),
        ('{"a":[{"exists":true}]}', ['{"a":null}', '{"a":[1]}', '{"a":""}'], ["{}", '{"a":{"b":1}}', '{"a":[]}']),
        ('{"a":[{"exists":false}]}', ["{}", '{"b":1}', '{"a":{"b":1}}'], ['{"a":1}', '{"a":null}']),
        ('{"a":{"b":[{"exists":false}]}}', ["{}", '{"a":{}}', '{"a":1}'], ['{"a":{"b":1}}']),
        ('{"a":["x",{"exists":false}]}', ['{"a":"x"}', "{}"], ['{"a":"y"}']),
        ('{"a":[{"cidr":"10.0.0.0/24"}]}', ['{"a":"10.0.0.255"}'], ['{"a":"10.0.1.0"}', '{"a":"x"}', '{"a":"::1"}']),
        ('{"a":[{"cidr":"2001:db8::/32"}]}', ['{"a":"2001:db8::1"}'], ['{"a":"10.0.0.1"}']),
        ('{"a":[{"wildcard":"a*c*"}]}', ['{"a":"abcd"}', '{"a":"ac"}'], ['{"a":"ab"}', '{"a":"xac"}']),
        ('{"a":[{"wildcard":"*ab"}]}', ['{"a":"ab"}', '{"a":"aab"}'], ['{"a":"aba"}', '{"a":"b"}']),
        ('{"a":[{"wildcard":"a*a"}]}', ['{"a":"aa"}'], ['{"a":"a"}']),
        (r'{"a":[{"wildcard":"x\\*y\\\\"}]}', [r'{"a":"x*y\\"}'], [r'{"a":"xzy\\"}']),
        ('{"$or":[{"a":[1]},{"b":[2]}]}', ['{"a":1}', '{"b":2}'], ['{"a":2,"b":1}', "{}"]),
        ('{"c":[0],"$or":[{"a":[1]},{"b":[2]}]}', ['{"a":1,"c":0}'], ['{"a":1}', '{"c":0}']),
        ('{"d":{"$or":[{"a":[1]},{"b":[2]}]}}', ['{"d":{"b":2}}'], ['{"b":2}']),
        ('{"$or":["x"]}', ['{"$or":"x"}'], ['{"a":"x"}']),
    ],
)
def test_a_pattern_matches_what_the_guide_says(pattern: str, matching: list[str], others: list[str]) -> None:
    parsed = parse(pattern)
    for text in matching:
        assert parsed.matches(document(text)), text
    for text in others:
        assert not parsed.matches(document(text)), text


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "null", "[]", '"x"', "1", "{", '{"a":"x"}', '{"a":1}', '{"a":[]}', '{"a":{}}', '{"a":[["x"]]}'),
        *('{"a":[{}]}', '{"a":[{"prefix":"x","suffix":"y"}]}', '{"a":[{"like":"x"}]}', '{"a":[{"prefix":1}]}'),
        *('{"a":[{"anything-but":[]}]}', '{"a":[{"anything-but":{}}]}', '{"a":[{"anything-but":{"cidr":"::/0"}}]}'),
        *('{"a":[{"anything-but":[null]}]}', '{"a":[{"exists":"true"}]}', '{"a":[{"exists":1}]}', '{"a":[NaN]}'),
        *('{"a":[{"numeric":[]}]}', '{"a":[{"numeric":["=","1"]}]}', '{"a":[{"numeric":["==",1]}]}'),
        *('{"a":[{"numeric":[">",5,"<",1]}]}', '{"a":[{"numeric":["<",5,">",1]}]}', '{"a":[{"numeric":[1,">"]}]}'),
        *('{"a":[{"numeric":[[">"],1]}]}', '{"a":[{"cidr":"10.0.0.0/33"}]}', '{"a":[{"wildcard":"a**b"}]}'),
        *(r'{"a":[{"wildcard":"a\\b"}]}', r'{"a":[{"wildcard":"a\\"}]}', '{"$or":[{}]}', '{"a":' * 2000),
        *('{"a":[{"suffix":{"equals-ignore-case":1}}]}', '{"a":[{"equals-ignore-case":["x"]}]}'),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        parse(pattern)


def test_a_long_wildcard_does_not_grow_with_the_power_of_its_stars() -> None:
    pattern = parse('{"a":[{"wildcard":"' + "a*" * 2000 + 'b"}]}')
    assert not pattern.matches({"a": "a" * 200_000})
