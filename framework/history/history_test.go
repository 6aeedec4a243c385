package history

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestReadBackWhatWasRecorded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	r, err := Create(file, "run-1")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for shard := range 4 {
		clients.Go(func() {
			for id := range 250 {
				r.Add(Record{Case: "c", Op: &Op{Shard: shard, Kind: OpWrite, ID: int64(id), Outcome: OK}})
			}
		})
	}
	clients.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(file, "run-2"); err == nil {
		t.Error("a history was overwritten")
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0) //nolint:gosec // made above
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"at":1,"op":{"cli`) // a killed run
	_ = f.Close()
	count := 0
	for record, err := range Read(file) {
		if err != nil {
			t.Fatal(err)
		}
		if record.At == 0 {
			t.Error("a record has no time")
		}
		count++
	}
	if count != 1001 {
		t.Errorf("read %d records, want 1000 and the run's", count)
	}
}

func TestTailGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	r, err := Create(file, "run-1")
	if err != nil {
		t.Fatal(err)
	}
	tail := Tail{File: file}
	for _, step := range []struct{ want, add int }{{1, 2}, {2, 0}, {0, 1}, {1, 0}} { // first the run's own record
		count := 0
		for record, err := range tail.New() {
			if err != nil || record.At == 0 {
				t.Error(record, err)
			}
			count++
		}
		if count != step.want {
			t.Errorf("read %d new records, want %d", count, step.want)
		}
		for range step.add {
			r.Add(Record{Case: "c", Phase: &Phase{Name: Started}})
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadSaysWhereItIsBroken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	if err := os.WriteFile(file, []byte("{}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range Read(file) {
		last = err
	}
	if last == nil || !slices.Contains([]rune(last.Error()), '2') {
		t.Errorf("got %v, want an error that names line 2", last)
	}
}

func TestAuditHasWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.Int64Range(1, 5).Draw(t, "step")
		rows := rapid.SliceOfDistinct(rapid.Int64Range(0, 60), rapid.ID[int64]).Draw(t, "rows")
		slices.Sort(rows)
		a := Audit{Step: step}
		for _, row := range rows {
			a.Add(row*step + step - 1)
		}
		for id := int64(-5); id < 70*step; id++ {
			want := (id-step+1)%step == 0 && slices.Contains(rows, (id-step+1)/step)
			if got := a.Has(id); got != want {
				t.Fatalf("has %d: %v, want %v; ranges %v", id, got, want, a.Ranges)
			}
		}
	})
}
