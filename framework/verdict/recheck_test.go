package verdict

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

// Saved histories of real runs of suites/ha give the verdicts that the runs gave. good is a case in synchronous mode; bad one without, in
// which Patroni gave up its lock later than its standbys took it (hack/placements/async.yaml with a retry_timeout of 12).
func TestRecheck(t *testing.T) {
	for _, name := range []string{"good", "bad"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "history.jsonl")
			if err := os.WriteFile(file, unpack(t, filepath.Join("testdata", name+".jsonl.gz")), 0o600); err != nil {
				t.Fatal(err)
			}
			verdicts, err := Judge(history.Read(file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(verdicts, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
				t.Error("verdicts, as the run gave them and now: ", diff)
			}
		})
	}
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// busy is the history of a case with the number of operations: writes and reads of two shards, a tenth of them on registers, a tenth on
// lists, and looks at four instances.
func busy(operations int) []history.Record {
	st := healthy()
	st.every = 20 * s / time.Duration(operations/5) // a write and a read of two shards at each
	st.edit = func(rs []history.Record) []history.Record {
		id := rs[0].Case
		for i := range operations / 5 {
			op := busyRegister(i / 2)
			if i%2 == 1 {
				op = busyList(i / 2)
			}
			op.Took, op.Outcome = 3*st.every, history.OK
			rs = append(rs, history.Record{At: time.Duration(i) * st.every, Case: id, Op: op})
		}
		for i := range 320 {
			at, instance := time.Duration(i/4)*s/4, i%4
			rs = append(rs, history.Record{At: at, Case: id, Sample: &history.Sample{
				Instance: fmt.Sprint("i", instance), Shard: 1 + instance%2, Took: time.Millisecond, Primary: instance < 2, Accepted: instance < 2, Timeline: 1,
			}})
		}
		return rs
	}
	return st.records("busy")
}

// busyRegister is the i-th operation on registers: each of four is set, and then got.
func busyRegister(i int) *history.Op {
	op := &history.Op{Client: fmt.Sprint("r", i%4), Shard: 1 + i%2, Kind: history.OpSet, Key: fmt.Sprint("k", i%4), Value: int64(i/8*4+i%4) + 1}
	if i/4%2 == 1 {
		op.Kind = history.OpGet
	}
	return op
}

// busyList is the i-th operation on lists of 50 items: an append, and, while it is under way, another client's look.
func busyList(i int) *history.Op {
	const items = 50
	list, at := i/2/items, i/2%items
	op := &history.Op{Client: fmt.Sprint("l", i%2), Shard: 1, Kind: history.OpAppend, Key: fmt.Sprint("l", list), Value: int64(list*items+at) + 1}
	if i%2 == 1 {
		op.Kind, op.Value = history.OpList, 0
		for item := range at + i/2%2 {
			op.Items = append(op.Items, int64(list*items+item)+1)
		}
	}
	return op
}

// BenchmarkJudge judges a history of 10 000 operations.
func BenchmarkJudge(b *testing.B) {
	records := busy(10_000)
	for b.Loop() {
		if vs, err := Judge(seq(records)); err != nil || vs[0].Outcome != Pass {
			b.Fatal(vs, err)
		}
	}
}

func TestTenThousandOperationsAreJudgedInTime(t *testing.T) {
	records, began := busy(10_000), time.Now()
	vs, err := Judge(seq(records))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); vs[0].Outcome != Pass || took > 5*s {
		t.Errorf("%s after %s: %s", vs[0].Outcome, took, vs[0].Summary())
	}
}
