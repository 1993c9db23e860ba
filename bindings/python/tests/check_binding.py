"""Every function of the binding on a small model: check_binding.py MODEL.gguf"""
import json
import math
import os
import re
import sys
import tempfile
import threading

import rocmforge

TEMPLATE = ("{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}")
GREEDY = {"temperature": 0}


def raises(kind, call, text=""):
    try:
        call()
    except kind as error:
        assert text in str(error), (text, str(error))
        return error
    raise AssertionError(f"no {kind.__name__}")


def check_model(model):
    info = model.info
    assert info.architecture == "llama" and info.n_vocab > 0 and info.has_chat_template
    tokens = model.tokenize("hello there", special=False)
    assert tokens and model.detokenize(tokens).decode().strip() == "hello there"
    assert model.tokenize("") == model.tokenize("", special=True)
    assert model.render([{"role": "user", "content": "x"}]) == "[user]x\n[assistant]"
    assert model.render([{"role": "user", "content": "y" * 10000}]).count("y") == 10000
    assert not model.is_end(tokens[0])


def check_generate(model, engine):
    options = dict(n_tokens=20, sampling=GREEDY, ignore_end=True)
    pieces = list(engine.generate("hello", **options))
    [answer] = engine.complete("hello", **options)
    assert "".join(pieces) == answer.text and len(answer.tokens) == 20
    assert answer.finish.reason == "length" and answer.finish.n_generated == 20 and answer.finish.last
    assert engine.complete(model.tokenize("hello"), **options)[0].text == answer.text
    assert "".join(engine.chat([{"role": "user", "content": "x"}], **options))
    stop = answer.text[8:10]
    [cut] = engine.complete("hello", **{**options, "stops": [stop]})
    assert cut.text == answer.text[:answer.text.index(stop)] and cut.finish.reason == "stop_text"
    for piece in engine.generate("hello", ignore_end=True):  # left half-way
        assert piece
        break
    several = engine.complete("hello", n_tokens=6, n_choices=3, sampling={"temperature": 1.5, "seed": 5}, ignore_end=True)
    assert len(several) == 3 and all(len(one.tokens) == 6 for one in several)
    assert several[0].finish.seed == 5
    [biased] = engine.complete("hello", n_tokens=4, biases={70: 100.0}, sampling=GREEDY, ignore_end=True)
    assert biased.tokens == [70] * 4
    [with_top] = engine.complete("hello", n_tokens=3, n_top=4, sampling=GREEDY, ignore_end=True)
    for token in with_top.logprobs:
        assert len(token.top) == 4 and token.logprob == token.top[0].logprob <= 0


def check_constraints(engine):
    for seed in range(4):
        sampling = {"temperature": 1.5, "seed": seed}
        [answer] = engine.complete("hello", regex="[0-9]{3}-[a-f]+x", n_tokens=60, sampling=sampling)
        assert re.fullmatch("[0-9]{3}-[a-f]+x", answer.text) or answer.finish.reason == "length", answer
        [answer] = engine.complete("hello", one_of=["yes", "no", "perhaps"], sampling=sampling)
        assert answer.text in ("yes", "no", "perhaps") and answer.finish.reason == "stop"
        [answer] = engine.complete("hello", grammar='root ::= "a" [0-9]{2} | "b"', sampling=sampling)
        assert re.fullmatch("a[0-9]{2}|b", answer.text), answer
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["n"]}
        for given in (schema, json.dumps(schema)):
            [answer] = engine.complete("hello", json_schema=given, n_tokens=80, sampling=sampling)
            assert answer.finish.reason == "length" or 1 <= json.loads(answer.text)["n"] <= 99, answer
    raises(rocmforge.InvalidError, lambda: engine.submit("x", grammar="root ::= nothing"), "nothing")
    raises(rocmforge.InvalidError, lambda: engine.submit("x", json_schema={"type": "string", "not": {}}), "keyword not")
    raises(rocmforge.InvalidError, lambda: engine.submit("x", json_schema="{"), "no JSON")
    raises(rocmforge.InvalidError, lambda: engine.submit("x", regex="(a"))
    raises(rocmforge.InvalidError, lambda: engine.submit("x", regex="a", one_of=["a"]), "one of them")


def check_numbers(model, engine):
    same, again, other = engine.embed(["a text", "a text", "something else"])
    assert len(same) == model.info.n_embd and same == again != other
    assert math.isclose(sum(x * x for x in same), 1, rel_tol=1e-4)
    rows = engine.score("hello there", n_top=2)
    assert len(rows) == len(model.tokenize("hello there")) - 1
    assert all(len(row) == 3 and row[0].logprob <= row[1].logprob for row in rows)


def check_requests(engine):
    with engine.submit("hello", ignore_end=True) as request:
        assert isinstance(request.next_event(), rocmforge.Token)
        request.cancel()
        *_, last = request
        assert last.reason == "cancelled" and last.last
        raises(StopIteration, request.next_event)
    request.close()
    with engine.submit("hello", n_tokens=1, ignore_end=True) as request:
        event = request.next_event(timeout=5)
        assert isinstance(event, rocmforge.Token) and event.top == () and event.logprob is None
    texts = {}

    def run(i):
        texts[i] = engine.complete(f"prompt {i % 3}", n_tokens=12, sampling=GREEDY, ignore_end=True)[0].text
    threads = [threading.Thread(target=run, args=(i,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 9 and all(texts[i] == texts[i % 3] for i in texts)
    counters = engine.counters
    assert counters.n_requests > 9 and counters.n_steps > 0 and counters.n_failed == 0


def check_files(model, engine):
    text = "one two three four five six seven eight nine ten, one two three four five six seven"
    options = dict(n_tokens=8, sampling=GREEDY, ignore_end=True)
    [answer] = engine.complete(text, **options)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sequence.kv")
        n = engine.save(text, path)
        with rocmforge.Engine(model, n_ctx=1024, draft_model=model, n_draft_max=3) as other:
            assert n > 0 and other.load(path) == model.tokenize(text)[:n]
            [again] = other.complete(text, **options)
            assert again.tokens == answer.tokens and again.finish.n_cached > 0 and again.finish.n_drafted > 0
            assert other.complete(text, draft="lookup", **options)[0].tokens == answer.tokens
            raises(rocmforge.NotFoundError, lambda: other.load(os.path.join(folder, "nothing")))


def check_failures(path, model, engine):
    raises(rocmforge.NotFoundError, lambda: rocmforge.Model("/nonexistent.gguf"), "/nonexistent.gguf")
    raises(rocmforge.InvalidError, lambda: engine.submit("x", sampling={"heat": 1}), "heat")
    raises(rocmforge.InvalidError, lambda: engine.submit("x", sampling={"top_p": 3}), "top_p")
    raises(rocmforge.InvalidError, lambda: engine.submit([]), "no tokens")
    raises(rocmforge.InvalidError, lambda: engine.submit([10**6]), "1000000")
    error = raises(rocmforge.MisuseError, model.close, "engines are closed before their model")
    assert error.rule == "order" and error.status_name == "misuse"
    raises(ZeroDivisionError, lambda: rocmforge.Engine(model, progress=lambda done, total: 1 // 0))
    raises(rocmforge.CancelledError, lambda: rocmforge.Engine(model, progress=lambda done, total: False))
    closed = rocmforge.Model(path)
    closed.close()
    assert raises(rocmforge.MisuseError, closed.close).rule == "handle_closed"
    assert raises(rocmforge.MisuseError, lambda: closed.info).rule == "handle_closed"


def main(path):
    lines, seen = [], []
    rocmforge.set_log(lambda level, topic, text: lines.append((level, topic, text)), "trace")
    with rocmforge.Model(path, chat_template=TEMPLATE) as model:
        with rocmforge.Engine(model, n_ctx=1024, max_requests=4, progress=lambda done, total: seen.append(done)) as engine:
            assert engine.n_ctx == 1024 and seen
            check_model(model)
            check_generate(model, engine)
            check_constraints(engine)
            check_numbers(model, engine)
            check_requests(engine)
            check_files(model, engine)
            check_failures(path, model, engine)
            left = engine.submit("hello", ignore_end=True)
        *_, last = left
        assert last.reason == "closed"
        left.close()
    assert any("trained for" in text for _, _, text in lines), lines
    rocmforge.set_log(None)
    print(rocmforge.version(), "all of the binding holds")


main(sys.argv[1])
