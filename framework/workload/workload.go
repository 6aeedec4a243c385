// Package workload runs the clients that tell whether the database serves, and keeps the record of
// what each of them knows.
package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

// Profile says how much the clients do. Its zero value is not useful; see [Default].
type Profile struct {
	Writers, Readers int           // per shard
	Every            time.Duration // one operation per client
	Registers        int           // per shard, and so many clients that set and get all of them
	RegisterEvery    time.Duration // one operation per such client
	ListEvery        time.Duration // one append to a list, or look at one, of the shard's one client that makes them
	TransferEvery    time.Duration // one transfer or sum of the shard's one client that makes them
	Deadline         time.Duration // of one operation, on a connection
	Connect          time.Duration // to find the primary
}

// Default is light enough for two cores, and dense enough to see an outage of a few tenths of a second.
func Default() Profile {
	return Profile{
		Writers: 2, Readers: 1, Every: 40 * time.Millisecond, Registers: 2, RegisterEvery: 100 * time.Millisecond,
		ListEvery: 200 * time.Millisecond, TransferEvery: 200 * time.Millisecond,
		Deadline: time.Second, Connect: 3 * time.Second,
	}
}

// rowsPerClient is how many rows a client may write in one case: each has its own range of row numbers.
const rowsPerClient = 1 << 16

// firstRange is the first of a run's ranges: as many as tenths of seconds have passed. In a table that earlier runs wrote to, rows that
// have the same number would look like writes that were applied twice.
func firstRange() int64 {
	return int64(time.Since(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) / (100 * time.Millisecond))
}

// Clients hands out row numbers over a whole run and starts the clients of each case.
type Clients struct {
	target  target.Target
	profile Profile
	record  *history.Recorder
	ranges  atomic.Int64
	values  atomic.Int64 // of registers, and in lists: no two are the same
}

// New returns the clients of a run.
func New(t target.Target, profile Profile, record *history.Recorder) *Clients {
	c := &Clients{target: t, profile: profile, record: record}
	c.ranges.Store(firstRange())
	return c
}

// Traffic is the clients of one case, at work until Stop.
type Traffic struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	shards map[int]*served
}

// served counts what one shard served.
type served struct {
	mu    sync.Mutex
	count map[history.OpKind]int
	last  map[history.OpKind]time.Time
	acked int64 // id of a row that is there, for readers
}

// Start sets the clients to work for the case.
func (c *Clients) Start(ctx context.Context, caseID string) *Traffic {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	traffic := &Traffic{stop: stop, shards: map[int]*served{}}
	table := c.target.Table()
	for remainder, shard := range table.Shards {
		s := &served{count: map[history.OpKind]int{}, last: map[history.OpKind]time.Time{}}
		traffic.shards[shard] = s
		for number := range c.profile.Writers + c.profile.Readers {
			cl := &client{
				clients: c, caseID: caseID, shard: shard, number: number, served: s, kind: history.OpWrite,
				table: pgx.Identifier{"cutset", table.Name}.Sanitize(),
				idOf:  func(row int64) int64 { return row*int64(len(table.Shards)) + int64(remainder) },
			}
			if number >= c.profile.Writers {
				cl.kind = history.OpRead
			} else {
				cl.row = (c.ranges.Add(1) - 1) * rowsPerClient
			}
			traffic.done.Go(func() { cl.work(ctx, c.profile.Every) })
		}
		c.startRegisters(ctx, traffic, caseID, shard)
		c.startLists(ctx, traffic, caseID, shard)
		bank := &client{clients: c, caseID: caseID, shard: shard, kind: "bank", served: s}
		traffic.done.Go(func() { bank.work(ctx, c.profile.TransferEvery) })
	}
	return traffic
}

// Stop ends the clients and waits for them.
func (t *Traffic) Stop() {
	t.stop()
	t.done.Wait()
}

// Served returns how many operations of the kind the shard has served, and when the last one was answered.
func (t *Traffic) Served(shard int, kind history.OpKind) (count int, last time.Time) {
	s := t.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[kind], s.last[kind]
}

// client is one of a shard's clients: one connection, one operation at a time.
type client struct {
	clients *Clients
	caseID  string
	shard   int
	number  int
	kind    history.OpKind
	table   string
	idOf    func(row int64) int64
	row     int64 // the next to write
	served  *served
	keys    []string // of registers
	suffix  string   // of lists' keys
	turn    int      // operations on them, or on accounts
	seek    int      // how often it looked for the primary anew

	conn   *pgx.Conn
	notice string // what the server said beside its last answer
}

func (c *client) work(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer c.disconnect(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.once(ctx)
		}
	}
}

// once does one operation and records it. An operation that the end of the case cuts short
// is recorded like any other: a write may have been applied.
func (c *client) once(ctx context.Context) {
	began := time.Now()
	op := history.Op{Client: fmt.Sprintf("s%d-%s-%d", c.shard, c.kind, c.number), Shard: c.shard, Kind: c.kind}
	switch {
	case len(c.keys) > 0:
		c.chooseRegister(ctx, &op)
	case c.suffix != "":
		c.chooseList(ctx, &op)
	case c.kind == "bank":
		c.chooseTransfer(&op)
	}
	sent, err := c.try(ctx, &op)
	switch {
	case err == nil && c.notice == "":
		op.Outcome = history.OK
	case err == nil:
		op.Outcome, op.Error = history.Unknown, c.notice
	default:
		op.Outcome, op.Error = outcome(sent, err), err.Error()
		c.disconnect(ctx)
	}
	op.Took = time.Since(began)
	if op.Outcome == history.OK {
		c.served.add(op, began.Add(op.Took))
	}
	c.clients.record.Add(history.Record{At: c.clients.record.Since(began), Case: c.caseID, Op: &op})
}

func (s *served) add(op history.Op, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[op.Kind]++
	s.last[op.Kind] = at
	if op.Kind == history.OpWrite {
		s.acked = op.ID
	}
}

// try connects if need be and does the operation; sent tells whether it got as far as that.
func (c *client) try(ctx context.Context, op *history.Op) (sent bool, err error) {
	c.notice = ""
	if c.conn == nil {
		within, cancel := context.WithTimeout(ctx, c.clients.profile.Connect)
		c.conn, err = c.clients.target.Connect(within, c.shard, c.number+c.seek, func(n *pgconn.Notice) { c.notice = n.Message })
		cancel()
		if err != nil {
			return false, err
		}
	}
	op.Server = c.conn.PgConn().Conn().RemoteAddr().String()
	within, cancel := context.WithTimeout(ctx, c.clients.profile.Deadline)
	defer cancel()
	switch op.Kind {
	case history.OpSet, history.OpGet:
		return true, c.tryRegister(within, op)
	case history.OpAppend, history.OpList:
		return true, c.tryList(within, op)
	case history.OpTransfer, history.OpSum:
		return true, c.tryTransfer(within, op)
	case history.OpWrite:
		op.ID = c.idOf(c.row)
		c.row++
		_, err = c.conn.Exec(within, "INSERT INTO "+c.table+" (id) VALUES ($1)", op.ID)
		return true, err
	case history.OpRead:
	}
	c.served.mu.Lock()
	op.ID = c.served.acked
	c.served.mu.Unlock()
	var found int
	err = c.conn.QueryRow(within, "SELECT count(*) FROM "+c.table+" WHERE id = $1", op.ID).Scan(&found)
	return true, err
}

// outcome says what a failed operation leaves the client to believe.
func outcome(sent bool, err error) history.Outcome {
	const readOnly = "25006" // read_only_sql_transaction: a standby's answer
	var refusal *pgconn.PgError
	if !sent || pgconn.SafeToRetry(err) || errors.As(err, &refusal) && refusal.Code == readOnly {
		return history.Refused
	}
	return history.Unknown
}

func (c *client) disconnect(ctx context.Context) {
	if c.conn == nil {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.clients.profile.Every)
	defer cancel()
	_ = c.conn.Close(within)
	c.conn = nil
}

// Audit reads back everything that the shard holds, for the case's record.
func (c *Clients) Audit(ctx context.Context, caseID string, shard int) error {
	table := c.target.Table()
	conn, err := c.target.Connect(ctx, shard, 0, func(*pgconn.Notice) {})
	if err != nil {
		return fmt.Errorf("audit shard %d: %w", shard, err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost with it
	rows, err := conn.Query(ctx, "SELECT id, count(*) FROM "+pgx.Identifier{"cutset", table.Name}.Sanitize()+" GROUP BY id ORDER BY id")
	if err != nil {
		return fmt.Errorf("audit shard %d: %w", shard, err)
	}
	audit := &history.Audit{Shard: shard, Step: int64(len(table.Shards)), Ranges: [][2]int64{}}
	var id, count int64
	_, err = pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		audit.Add(id)
		if count > 1 {
			audit.Twice = append(audit.Twice, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("audit shard %d: %w", shard, err)
	}
	c.record.Add(history.Record{Case: caseID, Audit: audit})
	return nil
}
