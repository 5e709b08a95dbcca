# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes cases.jsonl: what Python's jinja2 makes of these templates and of many small expressions, in the
environment chat templates are written for (sandboxed, trim_blocks and lstrip_blocks on, loop controls, tojson
without ASCII escapes). Needs jinja2 3.1; the tests need only its output."""
import datetime
import json
import pathlib

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = 1751459696  # 2 July 2025, 12:34:56 UTC


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(f)
    return env


USER = {"role": "user", "content": "What is 2 plus 2?"}
SYSTEM = {"role": "system", "content": "Be brief.\nBe \"right\"."}
REPLY = {"role": "assistant", "content": "  It is 4.  "}
NEXT = {"role": "user", "content": "<|im_start|>system\nand 日本 \u00e9 & <b>?\n"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "id": "abcdefghi", "function": {
    "name": "weather", "arguments": {"city": "Z\u00fcrich", "days": 2, "share": 0.5, "deep": [1, None, True]}}}]}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "name": "weather", "content": "{\"sun\": 1.0}"}
THOUGHT = {"role": "assistant", "content": "<think>\nadd\n</think>\n\nFour."}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather \u2014 tomorrow's.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": " The city "},
                                     "days": {"type": ["integer", "number"], "description": "How many"},
                                     "opt": {"type": "object", "additionalProperties": {"type": "boolean"}, "description": "x"}},
    "required": ["city"]}, "return": {"type": "object"}}}]
TALKS = {
    "user": [USER], "system and user": [SYSTEM, USER], "two turns": [USER, REPLY, NEXT],
    "system and two turns": [SYSTEM, USER, REPLY, NEXT], "ends with reply": [SYSTEM, USER, REPLY],
    "thought": [USER, THOUGHT, NEXT], "thought last": [USER, THOUGHT], "tool": [USER, CALL, RESULT],
    "two results": [SYSTEM, USER, CALL, RESULT, RESULT, REPLY, NEXT], "roles do not alternate": [USER, USER],
    "unknown role": [{"role": "narrator", "content": "Once"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": " Look "}, {"type": "image"}]}],
}
DOCUMENTS = [{"title": "", "text": "a\n\nb\nc"}, {"text": "d"}]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

DATA = {"a": 7, "b": -3, "f": 2.5, "s": "Hello, W\u00f6rld", "e": "", "n": None, "yes": True, "no": False,
        "list": [3, 1, 2], "words": ["b", "A", "c"], "map": {"x": 1, "y": [1, 2], "items": "own", "z": None},
        "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 4}, {"name": "Cy", "age": 30, "tags": []}],
        "nested": {"p": {"q": [{"r": "deep"}]}}, "lines": "one\ntwo\n\nthree\r\nfour", "html": "<a href='x'>&\"</a>",
        "sp": "  \u00a0padded\t\n"}

EXPRESSIONS = """
{{ a + b }}|{{ a - b }}|{{ a * b }}|{{ a / b }}|{{ a // b }}|{{ a % b }}|{{ b // 2 }}|{{ b % 2 }}|{{ a ** 2 }}|{{ 2 ** -1 }}|{{ -a ** 2 }}
{{ a / 7 }}|{{ 6 / 3 }}|{{ f * 2 }}|{{ 1e20 }}|{{ 1.0e-7 }}|{{ 0.1 + 0.2 }}|{{ 100000000000000000.0 }}|{{ 123456789.125 }}|{{ 1_000 }}|{{ 0x1F }}|{{ 0b101 }}|{{ 0o17 }}
{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ yes + 1 }}|{{ +yes }}|{{ -f }}|{{ 10 % 3.5 }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1.0 }}|{{ yes == 1 }}|{{ 'a' < 'b' }}|{{ [1,2] < [1,3] }}|{{ none == n }}|{{ 'x' != 'y' }}
{{ not a }}|{{ not not a }}|{{ a and e }}|{{ e or 'fallback' }}|{{ n or no or 0 or 'z' }}|{{ yes and no }}|{{ a if no else b }}|[{{ a if no }}]
{{ 2 in list }}|{{ 9 not in list }}|{{ 'ell' in s }}|{{ 'x' in map }}|{{ 'q' in map }}|{{ not 1 in list }}|{{ 1 in missing }}
{{ 'a' ~ 1 ~ none ~ true ~ 2.0 ~ [1, 'x'] }}|{{ 'ab' * 3 }}|{{ [1] * 3 }}|{{ [1] + [2] }}|{{ 'x' 'y' "z" }}
{{ list }}|{{ map }}|{{ (1, 2) }}|{{ (1,) }}|{{ () }}|{{ [] }}|{{ {} }}|{{ {'a': 1, 2: [none, true]} }}|{{ ['it\\'s', "q\\"", 'a\\nb', 'ö', '\\x07'] }}
{{ s[0] }}|{{ s[-1] }}|{{ s[8] }}|{{ s[1:4] }}|{{ s[::-1] }}|{{ s[:-1] }}|{{ s[8:] }}|{{ s[::2] }}|{{ s[10:2:-3] }}|{{ s[100:] }}|{{ list[::-1] }}|{{ list[1:] }}|{{ list[-2:] }}|{{ list[:1] }}|{{ list[5:1] }}
{{ map.x }}|{{ map['x'] }}|{{ map['items'] }}|{{ map.y[1] }}|{{ map.y.0 }}|{{ nested.p.q[0].r }}|{{ nested['p']['q'][0]['r'] }}|[{{ map.none_here }}]|[{{ list[9] }}]|{{ (1, 2)[1] }}
{{ missing }}|{{ missing is defined }}|{{ map.q is defined }}|{{ map.z is defined }}|{{ map.z is none }}|{{ missing|default('d') }}|{{ e|default('d') }}|{{ e|default('d', true) }}|{{ n|default('d', boolean=true) }}|{{ missing|d }}
{{ s is string }}|{{ a is string }}|{{ a is number }}|{{ f is integer }}|{{ a is integer }}|{{ f is float }}|{{ yes is integer }}|{{ yes is boolean }}|{{ map is mapping }}|{{ list is mapping }}|{{ list is iterable }}|{{ s is iterable }}|{{ a is iterable }}|{{ list is sequence }}|{{ n is none }}
{{ a is odd }}|{{ a is even }}|{{ a is divisibleby 7 }}|{{ a is divisibleby(2) }}|{{ yes is true }}|{{ 1 is true }}|{{ no is false }}|{{ n is sameas none }}|{{ a is eq 7 }}|{{ a is equalto 8 }}|{{ a is gt 3 }}|{{ a is lt(3) }}|{{ a is ne 2 }}|{{ 2 is in list }}|{{ 'A' is upper }}|{{ 'a' is lower }}|{{ a is not none }}|{{ a is not number }}|{{ range is callable }}|{{ 'trim' is filter }}|{{ 'odd' is test }}
{{ s|upper }}|{{ s|lower }}|{{ s|title }}|{{ s|capitalize }}|{{ 'ab-cd (ef) gh' |title }}|{{ 'straße'|upper }}|{{ s|length }}|{{ list|length }}|{{ map|length }}|{{ s|count }}|{{ missing|length }}
[{{ sp|trim }}]|[{{ '--x-'|trim('-') }}]|{{ s|replace('l', 'L') }}|{{ s|replace('l', 'L', 1) }}|{{ 'aaa'|replace('', '-') }}|{{ 5|string ~ 'x' }}|{{ list|string }}|{{ '12'|int + 1 }}|{{ 'x'|int }}|{{ 'x'|int(5) }}|{{ '3.7'|int }}|{{ 3.9|int }}|{{ '0x1f'|int(0, 16) }}|{{ '2.5'|float }}|{{ 'q'|float }}|{{ '1e3'|float }}
{{ list|first }}|{{ list|last }}|[{{ []|first }}]|{{ list|join }}|{{ list|join(', ') }}|{{ people|join('+', attribute='name') }}|{{ s|list }}|{{ map|list }}|{{ list|sort }}|{{ list|sort(reverse=true) }}|{{ words|sort }}|{{ words|sort(case_sensitive=true) }}|{{ people|sort(attribute='age')|map(attribute='name')|list }}|{{ list|reverse|list }}|{{ s|reverse }}
{{ people|selectattr('age', 'equalto', 30)|map(attribute='name')|join(',') }}|{{ people|rejectattr('age', 'gt', 10)|map(attribute='name')|list }}|{{ people|selectattr('tags')|list|length }}|{{ people|selectattr('tags', 'defined')|list|length }}|{{ list|select('odd')|list }}|{{ list|reject('odd')|list }}|{{ [0, 1, '']|select|list }}|{{ words|map('upper')|list }}|{{ people|map(attribute='tags', default='none')|list }}|{{ people|map(attribute='tags.0', default='-')|list }}
{{ map|items|list }}|{{ map.items()|list }}|{{ map.keys()|list }}|{{ map.values()|list }}|{{ map|dictsort }}|{{ map.get('x') }}|{{ map.get('q') }}|{{ map.get('q', 5) }}|{{ [1, 2, 2, 1]|unique|list }}|{{ list|sum }}|{{ people|sum(attribute='age') }}|{{ list|min }}|{{ list|max }}|{{ [1,2,3,4,5]|batch(2)|list }}|{{ [1,2,3]|batch(2, 'x')|list }}|{{ people|groupby('age')|list|length }}
{{ -3|abs }}|{{ b|abs }}|{{ 2.567|round(2) }}|{{ 2.5|round }}|{{ 3.5|round }}|{{ 2.1|round(0, 'ceil') }}|{{ 2.9|round(method='floor') }}|{{ 'a b  c'|wordcount }}|{{ html|e }}|{{ html|escape }}|{{ html|safe }}|{{ '%s is %d and %.2f'|format('x', 3, 1.5) }}|{{ 'x'|center(7) }}|{{ 'Hello wonderful world'|truncate(11) }}|{{ 'Hello wonderful world'|truncate(11, true, '~', 0) }}
{{ map|tojson }}|{{ s|tojson }}|{{ [1.0, 1e16, none, true, 'a"\\\\\\n\\u2028\\x7f']|tojson }}|{{ map|tojson(indent=2) }}|{{ {}|tojson(indent=2) }}|{{ [[], [1]]|tojson(indent=1) }}|{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}|{{ [1, {'a': 2}]|tojson(separators=(',', ':')) }}|{{ 'é'|tojson(ensure_ascii=true) }}|{{ {1: 2, true: 3, none: 4}|tojson }}
{{ 'a,b,c'.split(',') }}|{{ 'a,b,c'.split(',', 1) }}|{{ ' a  b '.split() }}|{{ 'a b c'.split(none, 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ ' a  b c'.rsplit(none, 1) }}|{{ lines.splitlines() }}|{{ 'x=1=2'.partition('=') }}|{{ 'x=1=2'.rpartition('=') }}|{{ 'x'.partition('=') }}
[{{ sp.strip() }}]|[{{ 'xxhixx'.strip('x') }}]|[{{ ' a '.lstrip() }}]|[{{ ' a '.rstrip() }}]|{{ s.startswith('He') }}|{{ s.startswith(('x', 'H')) }}|{{ s.endswith('ld') }}|{{ 'abab'.replace('a', 'x', 1) }}|{{ s.upper() }}|{{ s.title() }}|{{ "they're".title() }}|{{ s.capitalize() }}|{{ s.swapcase() }}|{{ s.find('W') }}|{{ s.find('q') }}|{{ s.rfind('l') }}|{{ s.index('W') }}|{{ s.count('l') }}|{{ '-'.join(['a', 'b']) }}|{{ '7'.zfill(3) }}|{{ '-7'.zfill(4) }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '*') }}|{{ 'ab'.center(5) }}|{{ 'abc'.center(6) }}|{{ '12'.isdigit() }}|{{ 'a1'.isalnum() }}|{{ 'ab'.isalpha() }}|{{ ' '.isspace() }}|{{ 'AB1'.isupper() }}|{{ 'ab'.islower() }}|{{ 'prefix-x'.removeprefix('prefix-') }}|{{ 'x.txt'.removesuffix('.txt') }}
{{ '%s-%s' % ('a', 1) }}|{{ '%05d|%-5s|%+d|%x' % (42, 'ab', 7, 255) }}|{{ '%(k)s' % {'k': 'v'} }}|{{ '%.3f%%' % 1.5 }}|{{ '%r' % 'q' }}|{{ '%s' % list }}
{{ [3,1].index(1) }}|{{ [1,1,2].count(1) }}|{{ list|list == list }}|{{ range(3)|list }}|{{ range(1, 4)|list }}|{{ range(6, 0, -2)|list }}|{{ dict(a=1, b=2) }}|{{ dict({'x': 1}, y=2)['y'] }}
{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.changed(x > 1) }};{% endfor %}
{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %}|{% for x in [] %}x{% else %}none{% endfor %}|{% for x in missing %}x{% else %}none{% endfor %}|{% for c in 'héy' %}{{ c }}.{% endfor %}|{% for k in map %}{{ k }}{% endfor %}
{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}-{% endfor %}|{% for x in list if x > 9 %}x{% else %}-{% endfor %}|{% for (i, j) in [(1, 2), (3, 4)] %}{{ i + j }} {% endfor %}|{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for item in [{'n': 1, 'c': [{'n': 2, 'c': [{'n': 3}]}]}] recursive %}{{ item.n }}@{{ loop.depth }}{% if item.c %}[{{ loop(item.c) }}]{% endif %}{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}|{% set ns = namespace(v=1, w='q') %}{% for i in [1, 2] %}{% set ns.v = ns.v + i %}{% endfor %}{{ ns.v }}{{ ns.w }}|{% set p, q = 1, 2 %}{{ p }}{{ q }}|{% set t %}block {{ a }}{% endset %}{{ t|upper }}|{% set t | upper | trim %} block {% endset %}[{{ t }}]|{% if yes %}{% set y = 5 %}{% endif %}{{ y }}
{% macro m(p, q='dq', r=p) %}<{{ p }},{{ q }},{{ r }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(q=3, p=4) }}{{ m(1, r=9) }}|{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, k=3) }}|{% macro n() %}[{{ late }}]{% endmacro %}{% set late = 'bound' %}{{ n() }}|{% macro w() %}({{ caller() }}){% endmacro %}{% call w() %}in{% endcall %}|{% macro u(l) %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) u([1, 2]) %}<{{ i }}>{% endcall %}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}|{% with q = 2, r = 3 %}{{ q * r }}{% endwith %}|{% filter upper %}up {{ s }}{% endfilter %}|{% raw %}{{ not }} {% this %}{% endraw %}|{{ '{{' }}|{{ "}}" }}|{{ {'a': {'b': 1}}['a']['b'] }}|{{ {'a': {'b': 1}}}}
{% if a == 7 and b < 0 or no %}A{% elif b %}B{% else %}C{% endif %}|{% if n %}A{% elif list %}B{% else %}C{% endif %}|{% if not list %}A{% else %}C{% endif %}|{{ 'x' if a is defined and a > 5 else 'y' }}|{{ ('a' if yes else 'b') ~ 'c' }}|{{ a|string|length + 1 }}|{{ -a|abs }}|{{ (a, b)|sum }}|{{ [a, b,]|length }}|{{ s.split(',')[0]|lower ~ '!' }}
{{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent('>>', blank=true) }}|{{ 'a\\tb\\u00e9\\x41\\101\\q' }}|{{ 'x' is in ['x'] }}|{{ map is sameas map }}|{{ 1 if 0 else 2 if 0 else 3 }}
{{ strftime_now('%d %b %Y') }}|{{ strftime_now("%Y-%m-%d %H:%M:%S %A %B %p %j") }}|{{ joiner is defined }}
{%- set j = joiner('; ') %}{% for x in list %}{{ j() }}{{ x }}{% endfor %}|{{ people[0]|attr('nope') is defined }}|{{ people|map(attribute='name')|map('lower')|join(' ') }}|{{ people|tojson|length }}
""".strip("\n").split("\n")

SPACES = [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n", "a  \n  {%- if yes -%}  \n b \n  {%- endif -%} \n c", "  {% if yes %}x{% endif %}  \n  y",
    "a\n   {%+ if yes %}b{% endif +%}\nc", "x {#- note -#} y\n  {# gone #}\nz", "{{ a }}\n{{ b -}}\n  c {{- f }}", "\n\n{{ a }}\n\n", "a\r\nb\rc\n{% if yes %}\r\nd{% endif %}\r\n",
    "  {# first #}\n  {{ a }}  {% raw %}\n {{ x }} \n  {% endraw %}\n y", "{% raw -%}  \n r {%- endraw %}|", "\t{% for x in list %}\n\t\t{{ x }}\n\t{% endfor %}\nend", "{%if yes%}1{%endif%}", "{{a}}{{-b}}", "x\n  {#- c #}\n  y", " {%- if yes %} \n{% endif %} ",
]

FAILURES = [
    "{{ missing.x }}", "{{ missing() }}", "{{ n.x.y }}", "{{ s + 1 }}", "{{ 1 + 'x' }}", "{{ list + 'x' }}", "{{ 1 < 'x' }}", "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ raise_exception('Not like this') }}",
    "{{ list.append(1) }}", "{{ map.update({}) }}", "{{ s() }}", "{{ [1, 2].index(9) }}", "{{ s.index('q') }}", "{{ missing|tojson }}", "{% for x in 5 %}{% endfor %}", "{% set a.b = 1 %}", "{% set p, q = [1] %}", "{{ missing ~ missing.x }}", "{{ range(200000) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", "{{ 'x' in 5 }}", "{{ {[1]: 2} }}", "{{ s.split('') }}", "{{ '%d' % 'x' }}", "{{ missing + 1 }}", "{{ missing < 1 }}", "{{ a[0].b.c }}", "{{ -s }}", "{{ namespace(1) }}",
]
SYNTAX = [
    "{{ a", "{% if a %}", "{% endif %}", "{{ a b }}", "{% for x %}{% endfor %}", "{{ }}", "{% if %}{% endif %}", "{{ 'x }}", "{{ (1, 2 }}", "{{ [1, 2) }}", "{% foo %}", "{# open", "{% raw %}x", "{{ a | }}", "{{ a.  }}", "{% set 5 = a %}", "{% set true = a %}", "{{ f(a=1, 2) }}", "{% else %}",
    "line\n\n{% if a %}\n{% endfor %}", "{% macro %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ a is b is c }}", "{{ a ? b }}", "{% call 5 %}{% endcall %}", "{% for x in list %}{% endif %}{% endfor %}", "{% break %}", "{% include 'x' %}", "{% extends 'x' %}{% block y %}{% endblock %}", "{% import 'x' as y %}", "{{ {'a' 1} }}",
]


def outcome(env, template, context):
    try:
        return {"expected": env.from_string(template).render(**context)}
    except Exception as error:  # noqa: BLE001: any failure is a failure here too
        return {"error": str(error), "raised": type(error).__name__ == "TemplateError"}


def conversation(stem, name, generate, tools):
    context = {"messages": TALKS[name], "add_generation_prompt": generate, **SPECIAL}
    if tools:
        context["tools"] = TOOLS
    if stem == "documents":
        context["documents"] = DOCUMENTS
    if stem == "thinking" and name == "user":
        context["enable_thinking"] = False
    return context


def pieces(line):
    """A line of expressions with bars between, one by one; a line with blocks as a whole."""
    return [line] if "{%" in line else [part + "}}" * (not part.endswith(("}}", "]"))) for part in line.split("}}|")]


def main():
    env = environment()
    with open(HERE / "cases.jsonl", "w", encoding="utf-8") as out:
        def write(case):
            print(json.dumps(case, ensure_ascii=False), file=out)

        write({"now": NOW, "data": DATA, "talks": TALKS, "tools": TOOLS, "special": SPECIAL, "documents": DOCUMENTS})
        for path in sorted(HERE.glob("*.jinja")):
            for name in TALKS:
                with_tools = (False, True) if name in ("system and user", "tool", "two results") else (False,)
                for generate in (False, True):
                    for tools in with_tools:
                        context = conversation(path.stem, name, generate, tools)
                        write({"file": path.name, "talk": name, "generate": generate, "tools": tools}
                              | outcome(env, path.read_text(encoding="utf-8"), context))
        for kind, lines in (("expression", [p for line in EXPRESSIONS for p in pieces(line)]), ("spaces", SPACES),
                            ("failure", FAILURES), ("syntax", SYNTAX)):
            for number, text in enumerate(lines):
                write({"name": f"{kind} {number + 1}", "template": text} | outcome(env, text, DATA))


if __name__ == "__main__":
    main()
