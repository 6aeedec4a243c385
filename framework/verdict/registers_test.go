package verdict

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// onRegister adds operations on a register of shard 1 to a story, from 5 s on. Each is "client from to what value outcome", with times
// in tenths of a second.
type onRegister struct {
	client   string
	from, to int
	kind     history.OpKind
	value    int64
	outcome  history.Outcome
}

func withRegister(ops ...onRegister) *story {
	st := healthy()
	st.edit = func(rs []history.Record) []history.Record {
		const tenth = s / 10
		for _, op := range ops {
			rs = append(rs, history.Record{At: 5*s + time.Duration(op.from)*tenth, Case: rs[0].Case, Op: &history.Op{
				Client: op.client, Shard: 1, Kind: op.kind, Key: "k", Value: op.value, Outcome: op.outcome, Took: time.Duration(op.to-op.from) * tenth,
			}})
		}
		return rs
	}
	return st
}

// consistencyOf judges the story, and wants the one finding with the message, or none for "".
func consistencyOf(t *testing.T, st *story, message string) {
	t.Helper()
	v := judge(t, st)
	if message == "" {
		if v.Outcome != Pass {
			t.Errorf("got %s: %s", v.Outcome, v.Summary())
		}
		return
	}
	if len(v.Findings) != 1 || v.Outcome != Fail || v.Findings[0].Judge != consistency || !strings.Contains(v.Summary(), message) {
		t.Errorf("got %s: %s; want %q", v.Outcome, v.Summary(), message)
	}
}

func TestRegisters(t *testing.T) {
	const set, get, ok, refused, unknown = history.OpSet, history.OpGet, history.OK, history.Refused, history.Unknown
	for _, c := range []struct {
		name    string
		ops     []onRegister
		message string // "" for none
	}{
		{"one after the other", []onRegister{{"a", 0, 1, get, 0, ok}, {"a", 2, 3, set, 1, ok}, {"b", 4, 5, get, 1, ok}}, ""},
		{"at one time", []onRegister{{"a", 0, 9, set, 1, ok}, {"b", 1, 2, get, 0, ok}, {"b", 3, 4, get, 1, ok}, {"c", 5, 6, get, 1, ok}}, ""},
		{"a stale get", []onRegister{{"a", 0, 1, set, 1, ok}, {"a", 2, 3, set, 2, ok}, {"b", 4, 5, get, 1, ok}}, "get of 1 by b, 3.4 s to 3.5 s after the injection does not fit"},
		{"a lost set", []onRegister{{"a", 0, 1, set, 1, ok}, {"b", 2, 3, get, 0, ok}}, "get of 0 by b"},
		{"back and forth", []onRegister{{"a", 0, 9, set, 1, ok}, {"b", 1, 2, get, 1, ok}, {"b", 3, 4, get, 0, ok}}, "not linearizable"},
		{"an uncertain set that was applied", []onRegister{{"a", 0, 1, set, 1, unknown}, {"b", 2, 3, get, 0, ok}, {"b", 4, 5, get, 1, ok}}, ""},
		{"an uncertain set that was not", []onRegister{{"a", 0, 1, set, 1, unknown}, {"b", 2, 3, get, 0, ok}, {"b", 4, 5, get, 0, ok}}, ""},
		{"an uncertain set that comes and goes", []onRegister{{"a", 0, 1, set, 1, unknown}, {"b", 2, 3, get, 1, ok}, {"b", 4, 5, get, 0, ok}}, "not linearizable"},
		{"a refused set that was applied", []onRegister{{"a", 0, 1, set, 1, refused}, {"b", 2, 3, get, 1, ok}}, "get of 1 by b"},
		{"an uncertain get", []onRegister{{"a", 0, 1, set, 1, ok}, {"b", 2, 3, get, 7, unknown}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			consistencyOf(t, withRegister(c.ops...), c.message)
		})
	}
}

// Where the search takes too long, nobody knows.
func TestSearchIsBounded(t *testing.T) {
	defer func(d time.Duration) { searchFor = d }(searchFor)
	searchFor = 50 * time.Millisecond
	var ops []onRegister
	for i := range 40 { // all at one time, and each got after
		ops = append(ops, onRegister{string(rune('a' + i)), 0, 50, history.OpSet, int64(i + 1), history.OK})
	}
	ops = append(ops, onRegister{"z", 51, 52, history.OpGet, 99, history.OK})
	v := judge(t, withRegister(ops...))
	if v.Outcome != Indeterminate || v.Findings[0].Blame != Harness || !strings.Contains(v.Summary(), "was not found out") {
		t.Errorf("got %s: %s", v.Outcome, v.Summary())
	}
}

// The picture that a finding names is made on demand, and judging makes none.
func TestPicture(t *testing.T) {
	st := withRegister(onRegister{"a", 0, 1, history.OpSet, 1, history.OK}, onRegister{"b", 2, 3, history.OpGet, 0, history.OK})
	court := NewCourt()
	for _, r := range st.records("ha:crash:machine:m1+m3") {
		if err := court.Hear(r); err != nil {
			t.Fatal(err)
		}
	}
	v, err := court.Verdict("ha:crash:machine:m1+m3")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := court.Draw(v.Case, dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, v.Findings[0].Picture))
	if err != nil || !strings.Contains(string(text), "get of 0") {
		t.Errorf("the picture %s: %v; want a page with the get that does not fit", v.Findings[0].Picture, err)
	}
}
