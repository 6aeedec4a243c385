package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

// addWrite adds a write of shard 1 to a story, and its row to the audit if it is there in the end.
func addWrite(st *story, at time.Duration, op history.Op, present bool) {
	op.Kind, op.Shard, op.Client, op.Took = history.OpWrite, 1, "late", time.Millisecond
	st.edit = func(rs []history.Record) []history.Record {
		for _, r := range rs {
			if present && r.Audit != nil && r.Audit.Shard == 1 {
				r.Audit.Add(op.ID)
			}
		}
		i := slices.IndexFunc(rs, func(r history.Record) bool { return r.At > at })
		return slices.Insert(rs, i, history.Record{At: at, Case: rs[0].Case, Op: &op})
	}
}

func TestWhatIsSaidOfWrites(t *testing.T) {
	const row = 9 << 32
	for _, c := range []struct {
		name    string
		at      time.Duration
		op      history.Op
		present bool
		want    *Write // nil: nothing
		message string
	}{
		{"kept", 5 * s, history.Op{ID: row, Outcome: history.OK}, true, nil, ""},
		{
			"lost under the fault", 5 * s,
			history.Op{ID: row, Outcome: history.OK, Server: "10.0.0.1:5433"},
			false,
			&Write{ID: row, Client: "late", Server: "10.0.0.1:5433", Answered: 5*s + time.Millisecond, Case: "c1", Fault: "crash {m1}"}, "shard 1 lost 1 acknowledged writes",
		},
		{
			"lost from before the fault", 1 * s,
			history.Op{ID: row, Outcome: history.OK},
			false,
			&Write{ID: row, Client: "late", Answered: 1*s + time.Millisecond, Case: "c1"}, "shard 1 lost 1 acknowledged writes",
		},
		{
			"lost from after the fault", 15 * s,
			history.Op{ID: row, Outcome: history.OK},
			false,
			&Write{ID: row, Client: "late", Answered: 15*s + time.Millisecond, Case: "c1"}, "shard 1 lost 1 acknowledged writes",
		},
		{"refused and absent", 5 * s, history.Op{ID: row, Outcome: history.Refused}, false, nil, ""},
		{
			"refused and there", 5 * s,
			history.Op{ID: row, Outcome: history.Refused, Server: "10.0.0.1:5433"},
			true,
			&Write{ID: row, Client: "late", Server: "10.0.0.1:5433", Answered: 5*s + time.Millisecond, Case: "c1", Fault: "crash {m1}"}, "shard 1 has 1 writes that it had refused",
		},
		{"uncertain and there", 5 * s, history.Op{ID: row, Outcome: history.Unknown}, true, nil, ""},
		{"uncertain and absent", 5 * s, history.Op{ID: row, Outcome: history.Unknown}, false, nil, ""},
		{"never sent", 5 * s, history.Op{Outcome: history.Refused}, false, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy()
			addWrite(st, c.at, c.op, c.present)
			v := judge(t, st)
			if c.want == nil {
				if v.Outcome != Pass {
					t.Errorf("got %s: %s", v.Outcome, v.Summary())
				}
				return
			}
			if len(v.Findings) != 1 || v.Outcome != Fail || !strings.Contains(v.Summary(), c.message) || v.Findings[0].Count != 1 {
				t.Fatalf("got %s, %+v; want one finding with %q", v.Outcome, v.Findings, c.message)
			}
			if lost := v.Findings[0].Lost(); (lost == 1) != strings.Contains(c.message, "lost") || lost > 1 {
				t.Errorf("%q says that %d writes are lost", c.message, lost)
			}
			if diff := cmp.Diff([]Write{*c.want}, v.Findings[0].Writes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of many lost writes the first are listed, and all are counted.
func TestListsAreBounded(t *testing.T) {
	st := healthy()
	for i := range int64(150) {
		st.lose = append(st.lose, 1<<32+200+i)
	}
	f := judge(t, st).Findings[0]
	if f.Count != 150 || f.Lost() != 150 || len(f.IDs) != mostIDs || len(f.Writes) != mostWrites || f.IDs[0] != st.lose[0] || f.Writes[0].ID != st.lose[0] {
		t.Errorf("got %d, %d ids, %d writes; want 150, %d, %d, from %d on", f.Count, len(f.IDs), len(f.Writes), mostIDs, mostWrites, st.lose[0])
	}
}

// A write is lost in the case whose audit misses it, and was acknowledged in another.
func TestLossOfAnEarlierCase(t *testing.T) {
	first, second := healthy(), healthy()
	row := int64(1<<32 + 190) // at 9.5 s, under the first case's fault
	first.edit = func(rs []history.Record) []history.Record {
		return slices.DeleteFunc(rs, func(r history.Record) bool { return r.Audit != nil })
	}
	second.lose = []int64{row}
	second.edit = func(rs []history.Record) []history.Record { // the second writes nothing itself
		return slices.DeleteFunc(rs, func(r history.Record) bool { return r.Op != nil && r.Op.Kind == history.OpWrite })
	}
	vs, err := Judge(seq(slices.Concat(first.records("c1"), second.records("c2"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range vs[1].Findings {
		if f.Judge == durability && len(f.Writes) == 1 && f.Writes[0].Case == "c1" && f.Writes[0].Fault == "crash {m1}" {
			return
		}
	}
	t.Errorf("the second case's findings do not say that row %d was acknowledged in the first: %+v", row, vs[1].Findings)
}
