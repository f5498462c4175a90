"""Expressions and templates of our own for scripts/golden/jinja.py. They cover what chat templates use of Jinja2, and the corners around it."""

# Variables of all cases.
VARS = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "  Hello <b>& 'you'\n"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"b": 2, "a": 1.5}}}]},
        {"role": "tool", "content": "3.5", "tool_call_id": "c1", "name": "add"},
        {"role": "assistant", "content": "<think>\nsum\n</think>\n\nIt is 3.5", "reasoning_content": "sum"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image"}]},
    ],
    "tools": [
        {"type": "function", "function": {"name": "add", "description": "Adds \"a\" and b — ü", "parameters": {
            "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": ["number", "null"], "enum": [1, 2]}}, "required": ["a"]}}},
    ],
    "s": "Hello, World", "empty": "", "uni": "日本語 né Straße", "space": " \t a b\n\n", "num": "42", "lines": "a\nb\r\nc\n\n d",
    "i": 7, "neg": -7, "zero": 0, "f": 2.5, "big": 123456789012345678901234567890, "t": True, "no": False, "nil": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "nested": [[1, 2], [3, [4, 5]]], "mixed": [1, "a", None, True, 2.0, [1], {"k": "v"}],
    "d": {"b": 1, "a": 2, "C": 3, "items": "hidden"}, "de": {}, "deep": {"x": {"y": [{"z": "found"}]}},
    "users": [{"name": "bob", "age": 30, "tags": ["x"]}, {"name": "Al", "age": 25, "tags": []}, {"name": "cy", "age": 30}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
}

# One expression a line; each is rendered as {{ expression }}.
EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
7.5 % -2
0.0 // 1
-0.0 // 1
1 / 2
4 / 2
7 / 0
7 // 0
7 % 0
7.0 / 0
7.5 % 0
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2 ** 0.5
2.0 ** 3
0 ** 0
0 ** -1
0.1 ** 3
1.1 ** 100
2.5 ** -3
(-2.5) ** 3
2.0 ** 0.5
10 ** -3
3 ** -20
(-1) ** 5
(-8) ** 2
big
big + 1
big * big
big // 7
big % 7
-big // 7
-big
big - big
big == big
big > 1e29
big / 10
9223372036854775807 + 1
-9223372036854775807 - 2
9223372036854775807 * 2
4611686018427387904 * 2
4611686018427387904 * -2
3037000500 * 3037000500
9223372036854775808 - 1
(9223372036854775808 - 1) is integer
1_000
0x1F
0b101
0o17
1e3
1.5e-5
1E5
1e16
1e15
123456789012345680.0
1e22
0.1 + 0.2
1e-4
0.00001
1.0
100.0
1e100
-1.5e300 * 1e10
5e-324
3.14
10 / 3
1 if t else 2
1 if no else 2
1 if no
(1 if no) is defined
(1 if no) ~ 'x'
'a' if nil is none else 'b'
'a' if i > 5 and i < 10 else 'b'
'x' if no else 'y' if t else 'z'
(i if t else 2) + 1
[i if t else 2, 1 if no else 3]
t and 5
no and 5
no or 5
zero or empty or 'last'
t or 5
empty and 1
not t
not empty
not not i
not 1 == 2
not i in l
3 in l
3 not in l
'ell' in s
'' in ''
'x' not in s
'b' in d
'b' in d.keys()
1 in d.values()
('b', 1) in d.items()
2 in range(0, 5, 2)
3 in range(0, 5, 2)
3 in (1, 2, 3)
nil in [none]
1 in s
undefd in l
'a' in undefd
undefd in s
1 < 2 < 3
1 < 3 < 2
1 == 1.0
True == 1
True + True
true
false
none
True
None
1 == '1'
'a' < 'b'
'B' < 'a'
'a' < 1
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 2) == (1, 2)
(1, 2) == [1, 2]
[1, [2]] == [1, [2]]
{'a': 1} == {'a': 1.0}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
{} == []
none == false
none < 1
undefd == none
undefd == other
undefd != 1
undefd < 1
d < d
'é' > 'z'
1 != 2 != 1
nil == none
2 >= 2
2 <= 1
s ~ 1 ~ none ~ true ~ 1.0
s + '!'
s + 1
'a' 'b'
'a' 'b' ~ 'c'
'x' * 3
3 * 'x'
'x' * -1
'x' * 1.0
[1] * 2
2 * [1, 2]
(1,) * 2
[1] + [2]
[1] + (2,)
(1,) + (2,)
[] + []
l - [1]
{} + {}
-t
+i
- - i
-'a'
-empty
s[0]
s[-1]
s[100]
s[100] is defined
s[1:4]
s[:-1]
s[::2]
s[::-1]
s[-5:]
s[4:1]
s[4:1:-1]
s[:]
s[none:3]
s[1:none]
s[t:]
s[::0]
s['a']
s[1.0]
s['upper']
s['upper']()
uni[0]
uni[-1]
uni[1:3]
uni[::-1]
uni[-6:-1:2]
uni[50:]
'日本語'[0]
'日本語'[1:]
'aé日😀'[3]
'aé日😀'[::-1]
'aé日😀'|length
l[0]
l[-1]
l[5]
l[5] is defined
l[1:]
l[::-1]
l[-2:]
l[:100]
l[-100:100]
l['a']
l[true]
l[0.0]
l.0
nested.1.1.0
nested[1][1][0]
(1, 2, 3)[1:]
(1, 2, 3)[-1]
(1,)
()
(1)
1, 2
1,
[1, 2,]
[]
{}
{'a': 1,}
{'a': 1, 'a': 2}
{1: 'x', 1.0: 'y', true: 'z'}
{none: 1, (1, 2): 2, 1.5: 3}
{[1]: 2}
{'a': {'b': [1, (2,), 'c']}}
{i: s, s: i}
d
d.a
d['a']
d.items
d['items']
d.items()
d.keys()
d.values()
d.items()|list
d.keys()|list
d|list
d.get('a')
d.get('zz')
d.get('zz', 'dflt')
d.get('zz', none) is none
d.zz
d.zz is defined
d.zz.yy
d['zz']['yy']
d.copy()
d.pop('a')
d.update({})
d.pop is defined
d['pop'] is defined
d.setdefault('q', 1)
d.clear
d|length
de|length
d.a.b
d.a.b.c
d[0]
d[[1]]
deep.x.y[0].z
deep.x.y.0.z
deep['x']['y'][-1]['z']
deep.x.q.z
undefd
undefd.x
undefd['x']
undefd()
undefd + 1
1 + undefd
-undefd
undefd ~ 'x'
undefd|length
undefd|list
undefd|upper
undefd|default('d')
undefd|tojson
undefd|int
undefd|float
undefd|first
undefd|join
undefd|trim
undefd|string
undefd|items|list
undefd|map('upper')|list
undefd|sort
undefd|abs
undefd|round
undefd is string
undefd is sequence
undefd is iterable
undefd is callable
undefd is mapping
undefd is odd
[undefd]
undefd|replace('a', 'b')
undefd|indent
undefd|last
undefd|reverse|list
undefd|select|list
undefd|unique|list
undefd|sum
undefd|max
nil|default('d')
nil|default('d', true)
nil|default('d', boolean=true)
empty|default('d')
empty|d('d', true)
undefd|default
undefd|default(default_value='q')
nil.x
nil['x']
nil.x.y
nil + 1
nil|length
nil|list
nil|upper
nil|trim
nil|join
nil|int
nil|float
nil|string
nil|tojson
nil|first
nil ~ ''
nil()
i.x
i[0]
i()
s()
i|length
l.append(4)
l.append is defined
l.append
l.count(1)
l.index(2)
l.index(9)
l.copy()
l.sort()
(1, 2, 1).count(1)
(1, 2).index(2)
s.__class__
s.__class__.x
d._x
l.__len__
i.real
i.imag
f.is_integer()
(4.0).is_integer()
range(3)
range(1, 5)
range(1, 10, 3)
range(5, 0, -2)|list
range(3)|list
range(0)|list
range(3)[1]
range(10)[2:5]
range(10)[::-2]|list
range(3)[::-2]
range(10)[8:2:-3]
range(10)[3:3]
range(2, 20, 3)[1:-1]
range(3)|length
range(1, 2) == range(1, 3, 5)
range(100001)
range(100000)|length
range(1.5)
range()
range(1, 2, 0)
range(3).start
range(5)|sum
range(3)|reverse|list
range(5)|last
range(3)|first
dict(a=1, b=2)
dict([('a', 1), ('b', 2)])
dict({'x': 1}, y=2)
dict(d, a=9)
dict([[1, 2], [3, 4]])
dict([1])
dict.fromkeys(['a', 'b'], 0)
namespace(a=1)
namespace(a=1).a
namespace({'a': 1}, b=2).b
namespace(a=1).b is defined
namespace(_a=1)
namespace()
cycler('a', 'b').next()
cycler('a').current
cycler()
joiner()()
joiner('; ')() ~ 'x'
lipsum is defined
range is callable
dict is callable
raise_exception is defined
raise_exception('no')
strftime_now is defined
loop is defined
self_ is defined
s is defined
undefd is defined
undefd is undefined
s is not defined
nil is none
nil is not none
i is number
f is number
t is number
s is number
i is integer
t is integer
f is integer
f is float
i is float
t is boolean
i is boolean
t is true
i is true
no is false
zero is false
s is string
l is string
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
i is sequence
l is iterable
i is iterable
d.keys() is sequence
d.keys() is iterable
range(3) is sequence
i is odd
i is even
neg is odd
2.0 is even
s is odd
i is divisibleby 7
i is divisibleby(3)
i is divisibleby 0
s is lower
'abc' is lower
'ABC' is upper
'1' is upper
i is sameas 7
nil is sameas none
t is sameas true
1 is sameas true
l is sameas l
'upper' is filter
'nope' is filter
'odd' is test
'nope' is test
i is eq 7
i is equalto 7
i is ne 7
i is gt 5
i is greaterthan 5
i is lt 5
i is lessthan 5
i is ge 7
i is le 7
3 is in l
9 is in l
9 is not in l
'ell' is in s
s is escaped
s|safe is escaped
i is nosuch
i is not odd
not i is odd
i is odd and t
i is odd or no
i is in [7, 8]
l is iterable and l is not string
'a' is in 'abc'
s is callable
s.upper is callable
s|upper
s|lower
s|title
'hello wORLD-foo (bar) [baz]'|title
"it's a dog's"|title
'a_b c.d'|title
uni|upper
uni|title
s|capitalize
'éCOLE'|capitalize
'ΑΣ ΑΣΑ'|lower
'ß'|upper
'ŉ'.title()
'ǆ'.title()
'İ'.lower()|length
s.title()
"it's a dog's".title()
s.swapcase()
uni.casefold()
s.upper()
s.lower()
s.capitalize()
s.isupper()
'ABC1'.isupper()
'abc'.islower()
'Abc Def'.istitle()
'ABc'.istitle()
'123'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isnumeric()
'一'.isnumeric()
'abc'.isalpha()
'日本'.isalpha()
'a1'.isalnum()
'a 1'.isalnum()
' \t'.isspace()
''.isspace()
'a_1'.isidentifier()
'1a'.isidentifier()
'a\n'.isprintable()
''.isprintable()
'é'.isascii()
s.startswith('Hell')
s.startswith(('x', 'He'))
s.startswith('W', 7)
s.startswith('W', 7, 8)
s.endswith('ld')
s.endswith(['ld'])
s.startswith(1)
s.startswith('')
''.startswith('', 1)
s.find('o')
s.find('o', 5)
s.find('zz')
s.find('', 20)
s.rfind('o')
uni.find('né')
uni.rfind('e')
s.index('W')
s.index('zz')
s.rindex('o')
s.count('l')
s.count('')
'aaa'.count('aa')
uni.count('', 2, 4)
s.replace('l', 'L')
s.replace('l', 'L', 1)
s.replace('', '-')
s.replace('', '-', 2)
s.replace('l', '', -1)
s.replace('l', none)
uni.replace('', '.')
s|replace('l', 'L')
s|replace('l', 'L', 1)
s|replace('l', 1)
i|replace(7, 8)
s|replace('')
s|replace('', '.')
s.split()
s.split(',')
s.split(', ')
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
'a,b,c'.split(sep=',', maxsplit=1)
' a  b c '.split()
' a  b c '.split(none, 1)
' a  b c '.rsplit(none, 1)
'  '.split()
''.split()
''.split(',')
'abc'.split('')
'a b'.split(' ')[0]
'a b'.split(' ')[-1]
messages[4].content.split('</think>')[-1].lstrip('\n')
messages[4].content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
lines.splitlines()
lines.splitlines(true)
lines.splitlines(keepends=true)
'a\x0bb\x0cc\x1cd\u2028e\x85f'.splitlines()
''.splitlines()
'\n'.splitlines()
s.partition(', ')
s.partition('zz')
s.rpartition('o')
s.rpartition('zz')
s.partition('')
space.strip()
space.lstrip()
space.rstrip()
'xxabcxx'.strip('x')
'xyabcyx'.strip('xy')
'ab'.strip('')
'ab'.strip(none)
'\u00a0\u3000a\x1c'.strip()
'a\u200b'.strip()|length
space|trim
'xxaxx'|trim('x')
'--a--'|trim(chars='-')
i|trim
s.removeprefix('Hello')
s.removesuffix('World')
s.removeprefix('x')
s.join(['a', 'b'])
', '.join(ls)
', '.join(l)
', '.join('abc')
', '.join(d)
', '.join([])
ls|join
ls|join(', ')
l|join('-')
mixed|join('|')
d|join(',')
users|join(', ', attribute='name')
users|join(attribute='age', d='+')
users|join(',', 'nope')
'abc'|join('.')
i|join
s.center(20)
s.center(21, '*')
'ab'.center(5, '*')
'abc'.center(6, '*')
s.ljust(15) ~ '|'
s.rjust(15)
s.ljust(15, '日')
s.rjust(3)
s.center(20, 'ab')
'42'.zfill(5)
'-42'.zfill(5)
'+a'.zfill(4)
'a\tb\tc'.expandtabs()
'a\tb\n\tc'.expandtabs(4)
s|center(20) ~ '|'
s|center ~ '|'
s.nope
s.nope()
s.encode
s|length
s|count
l|length
d|count
messages|length
s|first
s|last
l|first
l|last
le|first
le|first is defined
d|first
d|last
i|first
l|max
l|min
le|max
ls|max
ls|min
ls|min(case_sensitive=true)
users|max(attribute='age')
users|map(attribute='age')|max
mixed|max
l|sort
ls|sort
ls|sort(case_sensitive=true)
ls|sort(reverse=true)
ls|sort(true)
users|sort(attribute='age')|map(attribute='name')|list
users|sort(attribute='age,name')|map(attribute='name')|list
users|sort(attribute='age', reverse=true)|map(attribute='name')|list
users|sort(attribute='name')|map(attribute='name')|list
mixed|sort
d|sort
s|sort|join
l|sum
l|sum(start=10)
users|sum(attribute='age')
nested|sum(start=[])
ls|sum
le|sum
l|reverse
l|reverse|list
s|reverse
uni|reverse
d|reverse|list
d.items()|reverse|list
i|reverse
ls|unique|list
['a', 'A', 'b', 'a']|unique|list
['a', 'A', 'b', 'a']|unique(case_sensitive=true)|list
[1, 1.0, true, 2]|unique|list
users|unique(attribute='age')|map(attribute='name')|list
[[1]]|unique|list
l|list
s|list
uni|list
d|items
d|items|list
de|items|list
l|items|list
i|list
d|dictsort
d|dictsort(true)
d|dictsort(by='value')
d|dictsort(reverse=true)
d|dictsort(by='nope')
d|dictsort(false, 'value', true)
l|dictsort
users|groupby('age')
users|groupby('age')|map(attribute='grouper')|list
users|groupby('age')|map(attribute='list')|map('length')|list
users|groupby('name')|map('first')|list
users|groupby('nope', default='?')|length
(users|groupby('age'))[0].grouper
(users|groupby('age'))[0][1]|length
['b', 'A', 'a', 'B']|groupby('upper')
users|map(attribute='name')|list
users|map(attribute='name')
users|map(attribute='tags')|list
users|map(attribute='tags', default='none')|list
users|map(attribute='tags.0', default='none')|list
users|map('length')|list
ls|map('upper')|list
ls|map('upper')|join(',')
ls|map('replace', 'a', 'z')|list
ls|map('default', 'x')|list
l|map('string')|list
l|map('nope')|list
l|map|list
l|map('int', base=10)|list
users|map(attribute='tags')|map('default', [])|map('first')|list
users|selectattr('tags')|map(attribute='name')|list
users|selectattr('tags', 'defined')|map(attribute='name')|list
users|selectattr('age', 'equalto', 30)|map(attribute='name')|list
users|selectattr('age', '==', 30)|list|length
users|selectattr('age', 'gt', 26)|list|length
users|rejectattr('age', 'eq', 30)|map(attribute='name')|list
users|rejectattr('tags')|map(attribute='name')|list
users|selectattr('name', 'in', ['bob', 'cy'])|list|length
users|selectattr('deep.x', 'undefined')|list|length
messages|selectattr('role', 'equalto', 'user')|list|length
messages|selectattr('role', 'equalto', 'user')|first
(messages|selectattr('role', 'eq', 'user')|list)[-1].role
messages|rejectattr('role', 'equalto', 'system')|list|length
messages|selectattr('tool_calls', 'defined')|list|length
messages|selectattr|list
l|select('odd')|list
l|select('gt', 1)|list
l|reject('odd')|list
mixed|select|list
mixed|reject|list
mixed|select('string')|list
l|select('nope')|list
l|select('odd')
l|select('odd')|first
l|select('odd')|length
l|batch(2)|list
l|batch(2, '-')|list
range(7)|batch(3, 0)|list
l|batch(0)|list
le|batch(2)|list
l|slice(2)|list
range(7)|slice(3, 'x')|list
l|slice(0)|list
l|batch(2)
i|abs
neg|abs
'-1'|abs
(-1.5)|abs
f|round
2.5|round
3.5|round
2.675|round(2)
2.567|round(1, 'floor')
2.1|round(0, 'ceil')
2.1|round(method='ceil')
1234|round(-2)
1250|round(-2)
1350|round(-2)
1234.5|round(-2)
42|round
'a'|round
0.5|round|int
1e300|round(2)
7|round(2, 'floor')
num|int
'7'|int(1, 'x')
'x'|int(1, 'x')
ls|sort('x')
ls|sort(none)
ls|sort(reverse=1)
d|dictsort(reverse='x')
('<'|safe)|list
('<a'|safe)|first is escaped
('<a'|safe)|last is escaped
('<a'|safe)[0] is escaped
lines.splitlines('x')
'3.7'|int
'abc'|int
'abc'|int(-1)
'abc'|int(default=5)
'0x1f'|int(base=16)
'1f'|int(0, 16)
'0b11'|int(0, 2)
'0o17'|int(0, 8)
'0x1f'|int(0, 0)
' 42 '|int
'4_2'|int
'٤٢'|int
'-5'|int
'1e3'|int
f|int
-2.7|int
t|int
l|int
1e30|int
'inf'|int
num|float
'1.5'|float
'abc'|float
'abc'|float(1.5)
'1e5'|float
' 2.5 '|float
'inf'|float
'nan'|float
'1_0.5'|float
i|float
l|float
i|string
l|string
d|string
i|string|length
nested|string
uni|string
i|safe
'<a>'|e
'<a>&"\''|escape
'<a>'|forceescape
'<a>'|safe
('<a>'|safe) + '<b>'
'<b>' + ('<a>'|safe)
('<a>'|safe) ~ '<b>'
'<a>'|safe|upper
'<a>'|safe|e
'<a>'|safe|string
[1, '<']|tojson|safe
s|truncate(9)
s|truncate(5, true)
s|truncate(5, true, '', 0)
'a b c d e f g h i j'|truncate(10)
'a b c d e f g h i j'|truncate(10, leeway=0)
s|truncate(2)
s|wordcount
'a-b c_d é1'|wordcount
'the quick brown fox jumps'|wordwrap(10)
'the quick-brown-fox jumps over'|wordwrap(12)
'abcdefghijkl'|wordwrap(5)
'abcdefghijkl mn'|wordwrap(5, false)
'a b\nc d'|wordwrap(1)
'one -- two--three'|wordwrap(8)
'a  b   c d'|wordwrap(4, wrapstring='|')
'one two-three four'|wordwrap(9, true, '/', false)
''|wordwrap(5)
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, true, true)
lines|indent('> ')
lines|indent(width=3, first=true, blank=false)
'one'|indent
'a\n'|indent
''|indent(2, true)
'a\n\nb'|indent(4, blank=true)
i|indent
'%s and %s'|format(1, 'b')
'%(a)s'|format(a=1)
'%d%%'|format(5)
'%s'|format
'a'|format(1)
'%s' % s
'%s %s' % (1, 2)
'%s' % [1, 2]
'%s' % (l,)
'%s %s' % 1
'%s' % (1, 2)
'abc' % 1
'abc' % [1]
'abc' % {}
'abc' % ()
'%d' % 3.7
'%d' % -3.7
'%5d|' % 42
'%-5d|' % 42
'%05d' % 42
'%+d' % 42
'% d' % 42
'%05d' % -42
'%x %X %o' % (255, 255, 8)
'%#x %#o %#X' % (255, 8, 255)
'%.3d' % 5
'%8.3d|' % 5
'%f' % 1.5
'%.2f' % 2.675
'%8.2f|' % 3.14159
'%-8.2f|' % 3.14159
'%e' % 12345.678
'%.0e' % 12345.678
'%g' % 1e10
'%g' % 0.0001
'%g' % 100000
'%g' % 1000000
'%G' % 1e-10
'%#g' % 1.0
'%#.0f' % 2.0
'%s' % none
'%r' % 'a\'b'
'%r' % uni
'%a' % uni
'%5s|%-5s|' % ('a', 'b')
'%.2s' % 'abc'
'%c' % 'x'
'%c' % 65
'%%' % ()
'%' % 1
'%d' % 'x'
'%q' % 1
'%(a)s %(b)d' % {'a': 1, 'b': 2}
'%(c)s' % {'a': 1}
'%*d' % (5, 42)
'%-*d|' % (5, 42)
'%.*f' % (2, 3.14159)
'%i' % 3
'%s' % undefd
'%d' % true
'%5.1f%%' % 45.678
'%s' % d
'%ld' % 5
'{}'.format(1)
'{} {}'.format(1, 'b')
'{0} {1} {0}'.format('a', 'b')
'{a} {b}'.format(a=1, b=[1])
'{a.b}'.format(a={'b': 5})
'{0[b]}'.format({'b': 5})
'{0[0]}'.format([7])
'{0[1][k]}'.format([1, {'k': 'v'}])
'{{}} {{{}}}'.format(1)
'{} {1}'.format(1, 2)
'{'.format(1)
'}'.format(1)
'{}'.format()
'{x}'.format(y=1)
'{!r} {!s}'.format('a', 'b')
'{!a}'.format('é')
'{!q}'.format('é')
'{:5}|'.format('a')
'{:>5}|'.format('a')
'{:^5}|'.format('ab')
'{:*^6}|'.format('ab')
'{:日<4}|'.format('ab')
'{:.2}'.format('abc')
'{:5}|'.format(42)
'{:<5}|'.format(42)
'{:05}'.format(42)
'{:05}'.format(-42)
'{:+}'.format(42)
'{: }'.format(42)
'{:,}'.format(1234567)
'{:_}'.format(1234567)
'{:,}'.format(1234567.891)
'{:,.2f}'.format(1234567.891)
'{:012,}'.format(1234567)
'{:011,}'.format(1234567)
'{:010,}'.format(1234567)
'{:x} {:X} {:o} {:b}'.format(255, 255, 8, 5)
'{:#x} {:#b}'.format(255, 5)
'{:#06x}'.format(255)
'{:_x}'.format(1048576)
'{:,x}'.format(255)
'{:.3f}'.format(2)
'{:.0f}'.format(2.5)
'{:e}'.format(12345.678)
'{:g}'.format(0.00001234)
'{:%}'.format(0.256)
'{:.1%}'.format(0.256)
'{:10.3f}|'.format(3.14159)
'{:<10.3f}|'.format(3.14159)
'{:c}'.format(65)
'{:d}'.format(1.5)
'{:s}'.format(1)
'{:d}'.format('a')
'{:.3}'.format(3.14159)
'{:.3}'.format(31415.9)
'{:n}'.format(1234)
'{:=5}'.format('a')
'{:{}}|'.format('a', 5)
'{:>{w}}|'.format('a', w=5)
'{:5}'.format(none)
'{}'.format(none)
'{:5}|'.format(true)
'{:d}'.format(true)
'{}'.format(undefd)
'{}'.format(l)
'{:5}'.format(l)
'{:.2f}'.format('x')
'{0.__class__}'.format(1)
'{0.upper}'.format('a') is defined
'{:%Y}'.format(1)
'{:1000000000d}'.format(1) is defined
s|tojson
uni|tojson
'a"\\\n\t\r\x08\x0c\x01\x7f/<>&\''|tojson
'\u2028'|tojson
i|tojson
f|tojson
1.0|tojson
1e20|tojson
big|tojson
t|tojson
l|tojson
d|tojson
de|tojson
le|tojson
(1, 2)|tojson
nested|tojson
mixed|tojson
tools|tojson
tools|tojson(indent=2)
tools|tojson(indent=4)
d|tojson(indent=0)
d|tojson(indent='--')
l|tojson(indent=1)
de|tojson(indent=2)
[[], {}, [{}]]|tojson(indent=2)
d|tojson(sort_keys=true)
tools[0]|tojson(sort_keys=true, indent=2)
d|tojson(separators=(',', ':'))
d|tojson(separators=[',', ':'], indent=2)
uni|tojson(ensure_ascii=true)
'😀'|tojson(true)
uni|tojson(ensure_ascii=false)
d|tojson(2)
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
'inf'|float|tojson
range(3)|tojson
d.items()|tojson
d.keys()|list|tojson
namespace(a=1)|tojson
l|map('string')|list|tojson
messages[2].tool_calls[0].function.arguments|tojson
tools[0].function.parameters|tojson
'a'
"a"
'a\'b'
"a\"b"
'a\\b'
'a\nb'
'\x41\u00e9\U0001F600'
'\101\0'|length
'\q'
'\é'
'\x4'
'\N{BULLET}'
[''] 
['a\'b', "a\"b", 'a\'"b']
['\n\t\r\\\x00\x7f\xa0\xad\u200b\u2028é日😀']
['\x85']
[1.0, 1e100, 'x', none, true]
[s, uni, d]
s|nope
s|nope if no else 1
'x' if t else s|nope
s is nope if no else 1
s|upper|lower|title
s|upper.x
s .upper()
s. upper()
s|  upper
(s)|upper
s|upper()
s|upper(1)
l|join(d=',')
l|join(x=',')
-1|abs
-i|abs
(-i)|abs
i - 1|abs
1 ~ 2 + 3
1 + 2 ~ 3
2 * 3 ~ 4
i|string + 'x'
i + 'x'|length
not s is string
1 in [1] == true
a.b.c
s.upper().lower()
s.split(',')[0].upper()
messages[0]['role']
messages[0].role
messages[0]['nope'] is defined
messages[-1]['content'][0]['type']
messages[-1].content|map(attribute='type')|list
messages[1:]|length
messages[::2]|map(attribute='role')|list
messages|map(attribute='role')|unique|list
messages[0].get('role')
messages[0].get('x', '') ~ '!'
messages[2].tool_calls[0]['function']['arguments'].items()|list
messages[2].tool_calls is defined and messages[2].tool_calls is not none
messages[2].content == ''
messages[9]
messages[9].role
messages[9] is defined
messages.role
messages['role']
messages[0].content.strip().split('.')[0] + '!'
'role' in messages[0]
messages[0].role == 'system' and messages[1].role != 'system'
(messages|length) - 1
messages|length - 1
messages|length > 3
(messages|last).role
messages|map(attribute='content')|map('string')|map('length')|list
tools[0].function.parameters.properties.items()|list|length
tools[0].function.parameters.properties|items|map('first')|list
tools[0].function.parameters.required|join(', ')
tools[0]['function']|items|map('last')|map('string')|map('length')|list
tools is iterable and tools|length > 0
tools and tools|length
bos_token + messages[0].content + eos_token
bos_token ~ undefd ~ eos_token
[1, 2, 3] is iterable
{'a': 1} is mapping
1.5 is integer
[1, 2][5]|default('none')
{'a': none}.a|default('x')
{'a': none}.a|default('x', true)
{'a': ''}.get('a') or 'x'
{'a': 1}['b']|default('x')
{'a': 1}.items()|first
{'a': 1}.items()|list|first|last
{'keys': 1}.keys
{'keys': 1}['keys']
{'keys': 1}.keys()|list
{'get': 1}.get('get')
{1: 'one'}[1]
{1: 'one'}[true]
{1: 'one'}['1']
'abc'|list|reverse|join
'abc' < 'abd' < 'abe'
('a', 'b') in [('a', 'b')]
[1, 2, 3][1:][0]
'abc'[1:][0]
((1, 2), (3, 4))
(((1)))
[[[]]]
'a' ~ ('b' if no)
('b' if no)|default('c')
s|attr('upper') is defined
d|attr('a') is defined
d|attr('items') is defined
s|attr('nope')
i|filesizeformat
s|random
s|urlize
d|xmlattr
s|pprint
s|striptags
s|urlencode
s.format_map
1 2
s s
1 +
+
(1
[1
{'a'
{'a': }
)
s.
s[
s[]
s[1:2:3:4]
s|
s is
1 if
x = 1
lambda x: x
s if else 1
f(*l)
'a'b
1.5.5
.5
5.
1__0
@
s?
$s
a!b
!a
a && b
a || b
'unclosed
{{ 1 }}
%}
loop.index
caller()
varargs
super()
""".strip("\n").split("\n")

# Whole templates.
TEMPLATES = [
    # White space.
    "a\n", "a\n\n", "a\r\nb\r", "\n{{ i }}\n", "a {{ i }} b", "a {{- i -}} b", "a\n  {{- i }}\n  b", "a {{+ i }}", "{{ i -}}\n\n b", "x {{ -1 }} {{- 1 }}",
    "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}\n  b\n  {% endif %}\n  c\n", "a {% if t %} b {% endif %} c", "  {% if t %}x{% endif %}  \n",
    "a\n  {%+ if t %}\n  b\n  {%+ endif %}\n", "a\n{% if t +%}\nb\n{% endif +%}\nc", "a\n{%- if t -%}\n  b\n{%- endif -%}\nc", "a  {%- if t %}  b  {%- endif %}  c",
    "\t{% if t %}\tx\n\t{% endif %}\ty", "{% if t %}\n\n\nx\n\n{% endif %}\n\n\ny", "a\n \u00a0{% if t %}b{% endif %}", "{{ i }}\n{{ i }}\n", "{% if t %}a{% endif %}\n\nb",
    "x\n  {# c #}\n  y", "x {# c #} y", "x {#- c -#} y", "x\n{# c #}\ny", "x\n{#+ c +#}\ny", "  {# a\n b #}\nx", "{##}x", "{#-#} x", "a{# {{ i }} {% if %} #}b", "a {# b", "a #} b",
    "{# a #}{# b #}\n c", "{% raw %}{{ i }}{% endraw %}", "a\n  {% raw %}\n {{ i }} {% x %}\n  {% endraw %}\nb", "{%- raw -%}  {{ i }}  {%- endraw -%}  x", "{% raw %}{% raw %}{% endraw %}",
    "{% raw %} x", "{% raw -%} \n x{% endraw +%}\ny", "{%raw%}a{%endraw%}", "{%   raw   %}a{%   endraw   %}", "{ { i } }", "{{ '{{' }} {{ '}}' }} {% raw %}{{{% endraw %}", "{{ '%}' }}{% if '%}' %}x{% endif %}",
    "{{{'a': {'b': 1}}}}", "{{ {'a': {'b': 1}} }}", "{{ {'a': 1}['a'] }}", "a{b}c", "{", "{%", "{{", "{{ i", "{% if t", "}}", "{{ i }", "{{}}", "{{ }}", "{% %}", "{%%}", "{% if %}{% endif %}",
    "{{ i }}\\n", "{{ i\n}}\n{{\ni }}", "{% if\n t\n %}x{% endif %}", "{{ 'a\nb' }}", "{{ 'a\\\nb' }}", "{{ 'a\r\nb'|length }}", "{% set x = 'a\\\\' %}{{ x }}", "\ufeff{{ i }}", "line one\n\n  {{ i }}  \n\nend  ",
    "{%- for m in messages -%}\n  {{- m.role }}\n{%- endfor -%}\n", "{% for x in l %}\n  {{ x }}\n{% endfor %}\n", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}\n", "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "    {%- if t %}\n        {{- '<s>' }}\n    {%- endif %}\n", "{{- '' -}}\n\n{{- 'a' -}}\n", "{%- set x = 1 %}\n\n{{ x }}", "{% set x = 1 -%}\n\n{{ x }}", "a\n\n{%- set x = 1 -%}\n\n{{ x }}",
    # for
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}", "{% for x in l %}{{ loop.previtem.y }}{% endfor %}",
    "{% for x in range(5) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}", "{% for x in [1, 1, 2, 2, 1] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}",
    "{% for x in l %}{{ x }}{% else %}none{% endfor %}", "{% for x in le %}{{ x }}{% else %}none{% endfor %}", "{% for x in undefd %}{{ x }}{% else %}none{% endfor %}", "{% for x in nil %}x{% endfor %}", "{% for x in i %}x{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.last }}{{ loop.length }} {% endfor %}", "{% for x in l if x > 9 %}x{% else %}none{% endfor %}", "{% for x in l if loop.index > 1 %}{{ x }}{% endfor %}",
    "{% for x in messages if x.role == 'user' %}{{ loop.index }}{{ x.content|string|length }} {% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }} {% endfor %}", "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for a, b in [(1,)] %}{{ a }}{% endfor %}", "{% for a, b in [1] %}{{ a }}{% endfor %}",
    "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for c in uni %}{{ c }}.{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in (1, 2) %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }}|{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in ls %}{{ outer.index }}.{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for x in l %}{{ x }}{% break %}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}",
    "{% for x in l %}{% break %}{% else %}E{% endfor %}", "{% for x in l %}{% continue %}{% else %}E{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% break %}", "{% if t %}{% continue %}{% endif %}",
    "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% for x in l %}{% set y %}a{% if x == 1 %}{% continue %}{% endif %}b{% endset %}{{ y }}{{ x }}{% endfor %}", "{% for x in l %}{% filter upper %}a{% break %}{% endfilter %}{% endfor %}x",
    "{% for x in l %}{% with y = x %}{% if y == 1 %}{% continue %}{% endif %}{{ y }}{% endwith %}{% endfor %}", "{% for x in le %}{% else %}{% break %}{% endfor %}", "{% for a in l %}{% for x in le %}{% else %}{% break %}{% endfor %}{{ a }}{% endfor %}",
    "{% for x in nested recursive %}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}{% endif %}{% endfor %}", "{% for x in nested recursive %}{{ loop.depth }}{{ loop.index }}{% if x is iterable %}({{ loop(x) }}){% endif %}{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}",
    "{% for u in users recursive %}{{ u.name }}{% if u.tags %}{{ loop(u.tags) }}{% endif %}{% else %}none{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in l %}{{ loop|length }}{% endfor %}", "{% for x in l %}{{ loop.nope }}{% endfor %}", "{% for x in l %}{{ loop.nope is defined }}{% endfor %}",
    "{% for loop in l %}{{ loop }}{% endfor %}", "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{% set loop = 5 %}{{ loop }}", "{% for x in l %}{% endfor %}{{ loop is defined }}", "{% for x in l %}{% endfor %}{{ x is defined }}",
    "{% set x = 9 %}{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% for x in l %}{{ loop.index if loop.index is odd else '-' }}{% endfor %}", "{% for x in l|map('string') %}{{ x }}{{ loop.last }}{% endfor %}", "{% for x in l|map('string') %}{{ loop.length }}{{ loop.revindex }} {% endfor %}",
    "{% set g = l|map('string') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}.", "{% for x in d.keys() %}{{ loop.length }}{{ x }}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}{{ i }}", "{% for x in range(200000) %}x{% endfor %}", "{% for x in l recursive if x %}{% endfor %}",
    "{% for x in l if x if t %}{{ x }}{% endfor %}", "{% for x in l if x > 1 else l %}{% endfor %}", "{% for x in (l if t else le) %}{{ x }}{% endfor %}", "{% for x in l if t else le %}{% endfor %}", "{% for x.y in l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for x l %}{% endfor %}", "{% for x in l %}", "{% endfor %}",
    "{% for x in l %}{% if loop.first %}<{% elif loop.last %}>{% else %}-{% endif %}{% endfor %}", "{% for x in l[::-1] %}{{ x }}{% endfor %}", "{% for x in l|reverse %}{{ x }}{% endfor %}", "{% for x in l|sort(reverse=true) %}{{ x }}{% endfor %}",
    "{% for b in l|batch(2) %}{% for x in b %}{{ x }}{% endfor %}|{% endfor %}", "{% for g in users|groupby('age') %}{{ g.grouper }}:{% for u in g.list %}{{ u.name }},{% endfor %}{% endfor %}", "{% for age, us in users|groupby('age') %}{{ age }}:{{ us|length }} {% endfor %}",
    "{% for x in l %}{{ x }}{% endfor %}{% for y in l %}{{ x }}{% endfor %}", "{% for x in [1, 2] %}{% for x in [3] %}{{ x }}{% endfor %}{{ x }}{% endfor %}", "{% for m in messages %}{{ m['role'] }}{{ m.content if m.content is string else '[parts]' }}\n{% endfor %}",
    "{% for x, y in [[1, 2], [3, 4]] if x %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}", "{% for a, (b, c) in [[1, [2, 3]]] * 2 if b %}{{ loop.nextitem }}{% endfor %}", "{% for x in [[1]] * 2 if x %}{{ loop.nextitem }}{% endfor %}",
    # if
    "{% if t %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% elif t %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% endif %}", "{% if undefd %}a{% else %}b{% endif %}", "{% if undefd.x %}a{% endif %}", "{% if l %}a{% endif %}{% if le %}b{% endif %}",
    "{% if t and not no %}a{% endif %}", "{% if (t) %}a{% endif %}", "{% if t if no else t %}a{% endif %}", "{% if 1, 2 %}a{% endif %}", "{% if t: %}a{% endif %}", "{% if t %}a{% else if %}b{% endif %}", "{% if t %}a{% elseif no %}b{% endif %}", "{% if t %}a", "{% else %}", "{% if t %}{% endfor %}", "{% if i == 7 %}seven{% endif %}",
    "{% if no %}{{ 1 / 0 }}{% endif %}ok", "{% if no %}{{ s|nope }}{% endif %}ok", "{% if no %}{% for x in l %}{{ s|nope }}{% endfor %}{% endif %}ok", "{% if no %}{{ s is nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}ok", "{% if no %}{{ nope() }}{% endif %}ok", "{{ s|nope }}",
    # set and scopes
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x = 1, 2 %}{{ x }}", "{% set (x, y) = (1, 2) %}{{ x }}{{ y }}", "{% set x, y = [1] %}", "{% set x, (y, z) = 1, (2, 3) %}{{ x }}{{ y }}{{ z }}", "{% set x, y = 1, 2 %}{% set x, y = y, x %}{{ x }}{{ y }}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "{% for i in l %}{% set z = i %}{% endfor %}{{ z is defined }}", "{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b is defined }}",
    "{% set d.x = 1 %}", "{% set undefd.x = 1 %}", "{% set ns = namespace(a=1) %}{{ ns }}", "{% set ns = namespace(a=1) %}{% set ns.a = ns %}x", "{% set ns = namespace(a=1) %}{% set ns.a = ns %}{{ ns }}", "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{{ ns.a }}", "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set ns = namespace(a=1, b=2) %}{% set ns.a, ns.b = ns.b, ns.a %}{{ ns.a }}{{ ns.b }}", "{% set a.b.c = 1 %}", "{% set ns = namespace(a=1) %}{{ ns['a'] }}", "{% set ns = namespace(items=1) %}{{ ns.items }}", "{% set ns = namespace(a=1) %}{{ ns.a.b is defined }}{{ ns == ns }}",
    "{% if t %}{% set x = 1 %}{% endif %}{{ x }}", "{% if no %}{% set x = 1 %}{% endif %}{{ x is defined }}", "{% if no %}{% set i = 1 %}{% endif %}{{ i }}", "{% if t %}{% set i = 1 %}{% endif %}{{ i }}", "{% if no %}{% set i = 1 %}{% else %}{% set i = 2 %}{% endif %}{{ i }}",
    "{{ i }}{% set i = 1 %}{{ i }}", "{% for x in l %}{{ i }}{% set i = x %}{{ i }} {% endfor %}{{ i }}", "{% for x in l %}{% if x == 3 %}{% set i = x %}{% endif %}{{ i }} {% endfor %}", "{% set i = i + 1 %}{{ i }}", "{% set q = 1 %}{% if t %}{% set q = 2 %}{% endif %}{{ q }}",
    "{% for x in l %}{% if loop.first %}{% set w = 5 %}{% endif %}{{ w is defined }}{% endfor %}", "{% if t %}{% for x in l %}{% set y = x %}{% endfor %}{% endif %}{{ y is defined }}", "{% set x = 1 %}{% for i in l %}{{ x }}{% set x = 2 %}{% endfor %}{{ x }}",
    "{% set x = 0 %}{% for i in l %}{% for j in l %}{% set x = x + 1 %}{% endfor %}{{ x }}{% endfor %}", "{% if no %}{% set messages = [] %}{% endif %}{{ messages|length }}", "{% if not undefd is defined %}{% set undefd = 3 %}{% endif %}{{ undefd }}", "{% if messages[0].role == 'system' %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ loop_messages|length }}",
    "{% set x %}a{{ i }}b{% endset %}{{ x }}", "{% set x %}\n  a\n{% endset %}[{{ x }}]", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}", "{% set ns = namespace() %}{% set ns.x %}abc{% endset %}{{ ns.x }}",
    "{% set x %}{% endset %}{{ x == '' }}", "{% set x = %}", "{% set = 1 %}", "{% set x 1 %}", "{% set 1 = 1 %}", "{% set true = 1 %}", "{% set none = 1 %}", "{% set x.y.z = 1 %}", "{% set l[0] = 1 %}", "{% set x = 1 if no %}{{ x is defined }}", "{% set x = 1 if no else 2 %}{{ x }}", "{% set x %}", "{% set _x = 1 %}{{ _x }}",
    "{% set s = s|upper %}{{ s }}", "{% set x = [1, 2] %}{% set y = x + [3] %}{{ x }}{{ y }}", "{% set tools = none %}{{ tools is none }}", "{% set range = 5 %}{{ range }}", "{% set x = namespace %}{{ x(a=1).a }}", "{% set f = s.upper %}{{ f() }}", "{% set x = l %}{{ x is sameas l }}",
    # with
    "{% with x = 1 %}{{ x }}{% endwith %}{{ x is defined }}", "{% with x = 1, y = 2 %}{{ x }}{{ y }}{% endwith %}", "{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x is defined }}", "{% with i = i + 1, y = i %}{{ i }}{{ y }}{% endwith %}{{ i }}", "{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}", "{% with x %}{% endwith %}",
    "{% set x = 1 %}{% with x = x + 1 %}{{ x }}{% set x = 9 %}{{ x }}{% endwith %}{{ x }}",
    # macros
    "{% macro f() %}x{% endmacro %}{{ f() }}{{ f() }}", "{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=4, a=5) }}", "{% macro f(a) %}[{{ a }}]{% endmacro %}{{ f() }}", "{% macro f(a) %}{{ a is defined }}{% endmacro %}{{ f() }}", "{% macro f(a) %}{{ a.x }}{% endmacro %}{{ f() }}", "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(x=1) }}",
    "{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, k=4) }}", "{% macro f() %}{{ varargs|join(',') }}{% endmacro %}{{ f(1, 2) }}", "{% macro f() %}{% for k, v in kwargs|dictsort %}{{ k }}{{ v }}{% endfor %}{% endmacro %}{{ f(b=1, a=2) }}", "{% macro f(a, a) %}{% endmacro %}", "{% macro f(a=1, b) %}{% endmacro %}", "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(3) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "{% macro f() %}{{ i }}{% endmacro %}{{ f() }}", "{% macro f() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ f() }}", "{% macro f() %}{% set x = 1 %}{{ x }}{% endmacro %}{{ f() }}{{ x is defined }}", "{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}",
    "{% macro f(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{{ f(1) }}", "{% for x in l %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}", "{% macro f(x) %}{% for y in x %}{{ y }}{% endfor %}{% endmacro %}{{ f(l) }}", "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{% endcall %}", "{% macro f() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) f() %}{{ a }}-{{ b }}{% endcall %}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}", "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}", "{% macro f() %}x{% endmacro %}{% call f() %}b{% endcall %}", "{% macro f(caller=none) %}{{ caller }}{% endmacro %}{{ f() }}", "{% macro f(caller) %}{{ caller() }}{% endmacro %}", "{% macro f(a) %}{{ a }}{{ caller(3) }}{% endmacro %}{% call(x=1) f(2) %}{{ x }}{% endcall %}", "{% call nope() %}{% endcall %}", "{% call 1 %}{% endcall %}",
    "{% for x in l %}{% call(y) g() %}{% endcall %}{% endfor %}", "{% macro f() %}{% call g() %}{{ caller is defined }}{% endcall %}{% endmacro %}{% macro g() %}<{{ caller() }}>{% endmacro %}{{ f() }}", "{{ f() }}{% macro f() %}x{% endmacro %}", "{% macro f() %}x{% endmacro %}{{ f }}", "{% macro f() %}x{% endmacro %}{{ f.name }}", "{% macro f(a, b=1) %}{% endmacro %}{{ f.arguments }}",
    "{% macro f() -%}\n  a\n{%- endmacro %}[{{ f() }}]", "{% macro f(x) %}{{ x }}{% endmacro %}{{ f('<a>') }}", "{% macro f() %}x{% endmacro %}{{ f()|upper }}", "{% macro f() %}x{% endmacro %}{{ f() ~ f() + 'y' }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro f(x, y='d') %}{{ x }}{{ y }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(**{'x': 3}) }}{{ f(*[1], **{'y': 2}) }}",
    "{% macro f(**k) %}{% endmacro %}", "{% macro f %}{% endmacro %}", "{% macro f(1) %}{% endmacro %}", "{% macro f() %}", "{% macro true() %}{% endmacro %}", "{% macro f(loop) %}{{ loop }}{% endmacro %}{{ f(1) }}", "{% if no %}{% macro f() %}x{% endmacro %}{% endif %}{{ f is defined }}", "{% if t %}{% macro f() %}x{% endmacro %}{% endif %}{{ f() }}", "{% macro f(a=[]) %}{{ a }}{% endmacro %}{{ f() }}", "{% macro f(a=none) %}{{ a is none }}{% endmacro %}{{ f() }}{{ f(1) }}",
    "{% set ns = namespace(n=0) %}{% macro f() %}{% set ns.n = ns.n + 1 %}{% endmacro %}{{ f() }}{{ f() }}{{ ns.n }}", "{% macro f(x) %}{% if x is mapping %}{% for k, v in x|items %}{{ k }}:{{ f(v) }};{% endfor %}{% elif x is iterable and x is not string %}[{% for v in x %}{{ f(v) }}{% if not loop.last %},{% endif %}{% endfor %}]{% else %}{{ x }}{% endif %}{% endmacro %}{{ f(tools) }}{{ f(mixed) }}",
    # filter blocks, print, raise
    "{% filter upper %}abc{{ i }}{% endfilter %}", "{% filter upper|replace('A', 'x') %}abc{% endfilter %}", "{% filter indent(2, true) %}a\nb{% endfilter %}", "{% filter nope %}{% endfilter %}", "{% filter upper %}{% set x = 1 %}{% endfilter %}{{ x is defined }}", "{% filter trim %}\n a \n{% endfilter %}|", "{% print 1, 2 %}", "{% print i %}", "{% print %}",
    "{{ raise_exception('bad role') }}", "{% if no %}{{ raise_exception('bad') }}{% endif %}ok", "{{ raise_exception() }}", "{{ raise_exception('a' ~ i) }}", "{{ raise_exception }}x" if False else "{{ raise_exception is callable }}",
    "{% do l.append(1) %}", "{% nope %}", "{% trans %}x{% endtrans %}", "{% autoescape true %}{{ '<' }}{% endautoescape %}", "{% debug %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% end %}", "{% 1 %}",
    # generation
    "{% generation %}x{% endgeneration %}", "a{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}é{% endgeneration %}{% endif %}{{ m.role }}{% endfor %}", "é{% generation %}日{% set x = 1 %}{{ x }}{% endgeneration %}{{ x is defined }}", "{% set x = 1 %}{% generation %}{{ x }}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}", "{% generation %}", "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% for m in messages %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}", "{%- generation -%}  x  {%- endgeneration -%}", "a\n{% generation %}\nx\n{% endgeneration %}\nb", "{% generation %}{% endgeneration %}", "{% generation x %}{% endgeneration %}",
    # typical shapes of chat templates
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] if message['content'] is string else '') + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}",
    "{%- if messages[0]['role'] == 'system' -%}\n    {%- set system_message = messages[0]['content'] | trim -%}\n    {%- set loop_messages = messages[1:] -%}\n{%- else -%}\n    {%- set system_message = '' -%}\n    {%- set loop_messages = messages -%}\n{%- endif -%}\n{{ system_message }}|{{ loop_messages|length }}",
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}{{ ns.last_query_index }}",
    "{%- for tool in tools %}\n    {{- \"\\n\" }}\n    {{- tool | tojson }}\n{%- endfor %}", "{%- for tool in tools %}{%- set t = tool.function %}{{ t.name }}({% for k, v in t.parameters.properties|items %}{{ k }}: {{ v.type if v.type is string else v.type|join(' | ') }}{{ ', ' if not loop.last }}{% endfor %}){% endfor %}",
    "{% for m in messages %}{% if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments|tojson }}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}{% endfor %}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if m.content is string %}{{ m.content|trim }}{% else %}{% for p in m.content %}{% if p['type'] == 'text' %}{{ p.text }}{% elif p.type == 'image' %}<image>{% endif %}{% endfor %}{% endif %}|{% endfor %}",
    "{%- set thinking = 'think' in messages[0].content -%}{{ thinking }}", "{% if '</think>' in messages[4].content %}{% set c = messages[4].content.split('</think>')[-1] %}{{ c|trim }}{% endif %}", "{%- macro render_extra_keys(d, skip) -%}{%- for k in d -%}{%- if k not in skip -%}<{{ k }}>{{ d[k] | tojson if d[k] is mapping or d[k] is sequence and d[k] is not string else d[k] }}</{{ k }}>{%- endif -%}{%- endfor -%}{%- endmacro -%}{{ render_extra_keys(tools[0].function, ['name']) }}",
    "{{ messages[0].content.split('.') | map('trim') | select | join('; ') }}", "{{- \"<tools>\" if tools is defined and tools is not none else '' }}", "{% set date = strftime_now('%Y') if strftime_now is not defined else 'x' %}{{ date }}", "{{ '%-20s|%5.1f' | format('name', 3.14159) }}", "{{ ['a', 'b'] | map('upper') | list | tojson }}", "{{ (messages | map(attribute='role') | list).index('tool') }}",
    "{%- set allowed = ['user', 'assistant'] %}{%- for m in messages if m.role in allowed %}{{ m.role[0] | upper }}{% endfor %}", "{{ messages | selectattr('role', 'in', ['user']) | map(attribute='content') | select('string') | join }}", "{% set counts = dict() %}{{ counts }}{% set counts = dict(counts, a=1) %}{{ counts }}",
    "{% set sep = joiner(', ') %}{% for x in l %}{{ sep() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{% for x in l %}{{ c.next() }}{% endfor %}{{ c.current }}{{ c.reset() }}{{ c.next() }}", "{% set x = {'a': 1} %}{% set y = dict(x, **{'b': 2}) %}{{ y }}", "{% set a = l[:1] + [9] + l[2:] %}{{ a }}",
]
