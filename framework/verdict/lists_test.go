package verdict

import (
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// onList is an operation on a list of shard 1, with times in tenths of a second from 5 s on.
type onList struct {
	client   string
	from, to int
	value    int64   // that is appended
	items    []int64 // that are returned, where none is appended
	outcome  history.Outcome
}

func withList(ops ...onList) *story {
	st := healthy()
	st.edit = func(rs []history.Record) []history.Record {
		const tenth = s / 10
		for _, o := range ops {
			op := &history.Op{Client: o.client, Shard: 1, Kind: history.OpList, Key: "l", Items: o.items, Outcome: o.outcome, Took: time.Duration(o.to-o.from) * tenth}
			if o.value != 0 {
				op.Kind, op.Value = history.OpAppend, o.value
			}
			rs = append(rs, history.Record{At: 5*s + time.Duration(o.from)*tenth, Case: rs[0].Case, Op: op})
		}
		return rs
	}
	return st
}

func TestLists(t *testing.T) {
	const ok, refused, unknown = history.OK, history.Refused, history.Unknown
	add := func(client string, from, to int, value int64, outcome history.Outcome) onList {
		return onList{client, from, to, value, nil, outcome}
	}
	get := func(client string, from, to int, items ...int64) onList {
		return onList{client, from, to, 0, items, ok}
	}
	for _, c := range []struct {
		name    string
		ops     []onList
		message string // "" for none
	}{
		{"one after the other", []onList{get("a", 0, 1), add("a", 2, 3, 1, ok), add("a", 4, 5, 2, ok), get("b", 6, 7, 1, 2)}, ""},
		{"at one time, in one order", []onList{add("a", 0, 5, 1, ok), add("b", 0, 5, 2, ok), get("c", 1, 2, 2), get("c", 6, 7, 2, 1)}, ""},
		{"at one time, in two orders", []onList{add("a", 0, 5, 1, ok), add("b", 0, 5, 2, ok), get("c", 6, 7, 1, 2), get("d", 6, 7, 2, 1)}, "list of 2 items, ["},
		{"a lost append", []onList{add("a", 0, 1, 1, ok), add("a", 2, 3, 2, ok), get("b", 4, 5, 1)}, "list of 1 items, [1] by b, 3.4 s to 3.5 s after the injection does not fit"},
		{"a lost append in the middle", []onList{add("a", 0, 1, 1, ok), add("a", 2, 3, 2, ok), add("a", 4, 5, 3, ok), get("b", 6, 7, 1, 3)}, "operations on list l are not linearizable"},
		{"an append applied twice", []onList{add("a", 0, 1, 1, ok), get("a", 2, 3, 1, 1)}, "list of 2 items, [1 1] by a"},
		{"appended in another order", []onList{add("a", 0, 1, 1, ok), add("a", 2, 3, 2, ok), get("a", 4, 5, 2, 1)}, "not linearizable"},
		{"a stale look", []onList{add("a", 0, 1, 1, ok), get("a", 2, 3, 1), add("a", 4, 5, 2, ok), get("a", 6, 7, 1, 2), get("b", 8, 9, 1)}, "list of 1 items, [1] by b"},
		{"an uncertain append that was applied, late", []onList{add("a", 0, 1, 1, unknown), get("b", 2, 3), add("b", 4, 5, 2, ok), get("b", 6, 7, 2, 1)}, ""},
		{"an uncertain append that was not", []onList{add("a", 0, 1, 1, unknown), add("a", 2, 3, 2, ok), get("b", 4, 5, 2)}, ""},
		{"an uncertain append that comes and goes", []onList{add("a", 0, 1, 1, unknown), get("b", 2, 3, 1), get("b", 4, 5)}, "list of 0 items, [] by b"},
		{"a refused append that was applied", []onList{add("a", 0, 1, 1, refused), get("b", 2, 3, 1)}, "list of 1 items, [1] by b"},
		{"a look without an answer", []onList{add("a", 0, 1, 1, ok), {"b", 2, 3, 0, nil, unknown}}, ""},
		{"a long list", []onList{add("a", 0, 1, 1, ok), get("b", 2, 3, 1, 2, 3, 4, 5, 6, 7)}, "list of 7 items, [... 3 4 5 6 7] by b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			consistencyOf(t, withList(c.ops...), c.message)
		})
	}
}
