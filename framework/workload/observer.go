package workload

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

const (
	lookEvery  = 250 * time.Millisecond
	lookAgain  = time.Second // after one that got no answer, which held one of the executor's slots to the end
	lookNoMore = 500 * time.Millisecond
	whoAreYou  = `SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off',
		coalesce(CASE WHEN pg_is_in_recovery() THEN (SELECT received_tli FROM pg_stat_wal_receiver)
			ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END, 0)`
	// A transaction of its own that is replicated and acknowledged as any other, but leaves nothing behind and takes no
	// lock on which the next would wait. That a server says it is primary would not do: one that is cut off says so too,
	// and in synchronous mode acknowledges nothing.
	acceptWrite = `SELECT pg_logical_emit_message(true, 'cutset', 'who accepts writes')`
)

// Observe samples every instance of the target, each by itself, until stop is called: whether it is a primary, on what
// timeline, and whether it accepts a write. What it sees goes to the history; who does not answer holds up nobody else.
func Observe(ctx context.Context, t target.Target, commands *executor.Executor, record *history.Recorder, caseID string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		shards, err := t.Instances(ctx)
		if err != nil {
			record.Add(history.Record{Case: caseID, Sample: &history.Sample{Error: err.Error()}})
		}
		for instance, shard := range shards {
			w := &watch{target: t, commands: commands, record: record, caseID: caseID, instance: instance, shard: shard}
			all.Go(func() { w.work(ctx) })
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

// watch is the observation of one instance.
type watch struct {
	target   target.Target
	commands *executor.Executor
	record   *history.Recorder
	caseID   string
	instance string
	shard    int

	mu   sync.Mutex
	conn *observed // kept while it works
}

// observed is a connection to an instance, and what its server said beside its last answer.
type observed struct {
	*pgx.Conn
	notice string
}

func (w *watch) work(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer func() { hangUp(ctx, w.take()) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := w.record.Now()
		sample, err := executor.Do(ctx, w.commands, executor.Command[history.Record]{
			Name: "look who accepts writes", Class: "probe", Target: w.instance,
			Run: func(ctx context.Context, _ executor.Attempt) (history.Record, error) { return w.look(ctx), nil },
		})
		if ctx.Err() != nil {
			return // the end of the case cut it short
		}
		if err != nil {
			sample = history.Record{At: w.record.Now(), Sample: &history.Sample{Error: err.Error()}}
		}
		if waited := sample.At - asked; waited > lookEvery {
			w.record.Add(history.Record{At: asked, Case: w.caseID, Lapse: &history.Lapse{Kind: history.Dropped, Took: waited, Node: w.instance}})
		}
		sample.Case, sample.Sample.Instance, sample.Sample.Shard = w.caseID, w.instance, w.shard
		w.record.Add(sample)
		if sample.Sample.Error != "" {
			tick.Reset(lookAgain)
		} else {
			tick.Reset(lookEvery)
		}
	}
}

// look asks the instance who it is, and if it is a primary, has it accept a write. That it does not answer is an answer.
func (w *watch) look(ctx context.Context) history.Record {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookNoMore)
	defer cancel()
	sample := &history.Sample{}
	if err := w.ask(ctx, sample); err != nil {
		sample.Error = err.Error()
	}
	sample.Took = time.Since(began)
	return history.Record{At: w.record.Since(began), Sample: sample}
}

func (w *watch) ask(ctx context.Context, sample *history.Sample) error {
	conn, err := w.take(), error(nil)
	if conn == nil {
		conn = &observed{}
		if conn.Conn, err = w.target.ConnectTo(ctx, w.instance, func(n *pgconn.Notice) { conn.notice = n.Message }); err != nil {
			return err
		}
	}
	conn.notice = ""
	sample.Server = conn.PgConn().Conn().RemoteAddr().String()
	err = conn.QueryRow(ctx, whoAreYou).Scan(&sample.Primary, &sample.Timeline)
	if err == nil && sample.Primary {
		if _, err = conn.Exec(ctx, acceptWrite); err == nil && conn.notice != "" {
			err = errors.New(conn.notice) // it promises less than was asked for
		}
		sample.Accepted = err == nil
	}
	if err != nil {
		hangUp(ctx, conn)
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	return nil
}

// take hands the connection to one look: one that was given up may still be at it.
func (w *watch) take() *observed {
	w.mu.Lock()
	defer w.mu.Unlock()
	conn := w.conn
	w.conn = nil
	return conn
}

func hangUp(ctx context.Context, conn *observed) {
	if conn == nil {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookEvery)
	defer cancel()
	_ = conn.Close(within) // it may be broken
}
