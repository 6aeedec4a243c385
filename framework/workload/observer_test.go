package workload

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

// mute is a target of which no instance answers: some refuse, some say nothing, and some don't even hear that it is over.
type mute struct {
	target.Target
	forever chan struct{}
}

func (m mute) Instances(context.Context) (map[string]int, error) {
	return map[string]int{"refuses": 1, "silent": 1, "deaf": 2}, nil
}

func (m mute) ConnectTo(ctx context.Context, instance string, _ func(*pgconn.Notice)) (*pgx.Conn, error) {
	switch instance {
	case "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	case "deaf":
		<-m.forever
	}
	return nil, errors.New("connection refused")
}

// Every instance is looked at by itself: who does not answer holds up nobody else, and not the end.
func TestObserverIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "history.jsonl")
		record, err := history.Create(file, "r")
		if err != nil {
			t.Fatal(err)
		}
		commands, err := executor.New(executor.DefaultClasses())
		if err != nil {
			t.Fatal(err)
		}
		m := mute{forever: make(chan struct{})}
		stop := Observe(t.Context(), m, commands, record, "c")
		<-time.After(20 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s to stop", took)
		}
		close(m.forever)
		if err := errors.Join(commands.Drain(t.Context()), record.Close()); err != nil {
			t.Fatal(err)
		}
		samples := map[string]int{}
		for r, err := range history.Read(file) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Sample == nil {
				continue
			}
			samples[r.Sample.Instance]++
			if r.Case != "c" || r.Sample.Error == "" || r.Sample.Primary || r.Sample.Accepted {
				t.Errorf("got %+v of an instance that never answered", r.Sample)
			}
		}
		if samples["refuses"] < 18 || samples["silent"] < 8 || samples["deaf"] < 1 {
			t.Errorf("got %v samples in 20 s", samples)
		}
	})
}
