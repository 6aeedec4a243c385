// Package sqlconn is the PostgreSQL transport of an executor: pgx connections per class and target, kept, checked
// before reuse, and replaced when broken or hung.
//
// A command that hangs in a connection is ended by closing its socket, not by asking the server: a frozen
// server answers neither. pgx then cleans up in the background; what it may spend on that is bounded here.
package sqlconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/pool"
)

// cleanupTime bounds what is done for a connection after its last use: cancel request and farewell.
const cleanupTime = 2 * time.Second

// Config describes how targets are reached.
type Config struct {
	// ConnConfig returns the connection settings of a target. Required. It is called for each dial.
	ConnConfig func(target string) (*pgx.ConnConfig, error)
	// Dial makes the socket, e.g. in another network namespace. nil means that of the ConnConfig.
	Dial func(ctx context.Context, target, network, address string) (net.Conn, error)
	// Max bounds the connections in use per class and target. Default 8.
	Max int
	// CheckAfter is the idle time after which a connection is pinged before reuse. Default 1 s.
	CheckAfter time.Duration
	// MaxIdle and MaxLife end a connection that was idle, or lived, so long. Defaults 5 min, 1 h.
	MaxIdle, MaxLife time.Duration
}

// key separates classes, so that none can take another's connections.
type key struct{ class, target string }

// conn is a connection with its socket at hand.
type conn struct {
	*pgx.Conn
	socket *socket
	killed atomic.Bool // its user may still be inside, so pgx must not be touched
}

// Pool keeps the connections. It is safe for concurrent use.
type Pool struct {
	cfg  Config
	pool *pool.Pool[key, *conn]
}

// New makes a pool without connections.
func New(cfg Config) (*Pool, error) {
	if cfg.ConnConfig == nil {
		return nil, errors.New("sqlconn: Config.ConnConfig is required")
	}
	p := &Pool{cfg: cfg}
	p.pool = pool.New(pool.Config[key, *conn]{
		Dial:  p.dial,
		Check: func(ctx context.Context, c *conn) error { return c.Ping(ctx) },
		Close: func(c *conn) { c.end() },
		Max:   cfg.Max, CheckAfter: cfg.CheckAfter, MaxIdle: cfg.MaxIdle, MaxLife: cfg.MaxLife,
	})
	return p, nil
}

// Command describes work on a connection.
type Command struct {
	// Name, Class, Target and Idempotent are those of executor.Command. Target selects the server.
	Name, Class, Target string
	Idempotent          bool
}

// Do runs f through e on a connection to c.Target. The connection must not be used after f has returned, and is
// reused unless f left it broken, busy or inside a transaction, or the attempt was cancelled.
func Do[R any](ctx context.Context, e *executor.Executor, p *Pool, c Command, f func(context.Context, *pgx.Conn) (R, error)) (R, error) {
	return executor.Do(ctx, e, Wrap(p, c, f))
}

// Wrap makes an executor command of f; see Do.
func Wrap[R any](p *Pool, c Command, f func(context.Context, *pgx.Conn) (R, error)) executor.Command[R] {
	return executor.Command[R]{
		Name: c.Name, Class: c.Class, Target: c.Target, Idempotent: c.Idempotent, Classify: Classify,
		Run: func(ctx context.Context, a executor.Attempt) (R, error) {
			var zero R
			lease, err := p.lease(ctx, a)
			if err != nil {
				return zero, executor.NotStarted(err)
			}
			returned := false
			defer func() { // also when f panics
				if !returned || ctx.Err() != nil || lease.Conn.IsClosed() || lease.Conn.PgConn().TxStatus() != 'I' {
					lease.Conn.socket.kill()
					lease.Discard()
					return
				}
				lease.Keep()
			}()
			a.OnKill(func() error {
				lease.Conn.killed.Store(true)
				lease.Conn.socket.kill()
				lease.Kill()
				return nil
			})
			value, err := f(ctx, lease.Conn.Conn)
			returned = true
			return value, err
		},
	}
}

// lease gets a connection; the dial gets the attempt's connect timeout, not its total one.
func (p *Pool) lease(ctx context.Context, a executor.Attempt) (*pool.Lease[*conn], error) {
	ctx, cancel := context.WithTimeout(ctx, a.Connect)
	defer cancel()
	return p.pool.Get(ctx, key{a.Class, a.Target})
}

// Stats counts connections of all classes and targets.
func (p *Pool) Stats() pool.Stats { return p.pool.Stats() }

// Close ends all connections, and waits for that until ctx is done.
func (p *Pool) Close(ctx context.Context) error { return p.pool.Close(ctx) }

func (p *Pool) dial(ctx context.Context, k key) (*conn, error) {
	base, err := p.cfg.ConnConfig(k.target)
	if err != nil {
		return nil, fmt.Errorf("connection settings of target %q: %w", k.target, err)
	}
	cfg := base.Copy()
	dial := cfg.DialFunc
	if p.cfg.Dial != nil {
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.cfg.Dial(ctx, k.target, network, address)
		}
		// Names are for the dial function to resolve: what they mean here may not be what they mean there.
		cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	var connected atomic.Bool
	var last *socket // pgx tries hosts one after the other; the last dialed is the one in use
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() { // a cancel request
			ctx, cancel := context.WithTimeout(ctx, cleanupTime)
			defer cancel()
			raw, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			s := &socket{Conn: raw}
			s.limit(time.Now().Add(cleanupTime))
			return s, nil
		}
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		last = &socket{Conn: raw}
		return last, nil
	}
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to target %q: %w", k.target, err)
	}
	connected.Store(true)
	return &conn{Conn: c, socket: last}, nil
}

// end closes the connection and waits for what pgx does in the background.
func (c *conn) end() {
	if c.killed.Load() {
		c.socket.kill()
		return
	}
	c.socket.limit(time.Now().Add(cleanupTime))
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	_ = c.Close(ctx) // a broken connection cannot say good-bye
	c.socket.kill()
	select {
	case <-c.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// socket is a net.Conn whose deadlines can be limited for good, and that can be killed from outside.
type socket struct {
	net.Conn
	mu    sync.Mutex
	until time.Time
}

// kill closes the socket at once, without waiting for unsent data.
func (s *socket) kill() {
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a partitioned peer will not take it anyway
	}
	_ = s.Conn.Close() // it may be closed already
}

// limit sets a deadline that later calls of SetDeadline can bring forward only.
func (s *socket) limit(until time.Time) {
	s.mu.Lock()
	s.until = until
	s.mu.Unlock()
	_ = s.Conn.SetDeadline(until) // fails on a closed socket only
}

func (s *socket) capped(t time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && (t.IsZero() || t.After(s.until)) {
		return s.until
	}
	return t
}

// SetDeadline is that of net.Conn, within the limit.
func (s *socket) SetDeadline(t time.Time) error { return s.Conn.SetDeadline(s.capped(t)) }

// SetReadDeadline is that of net.Conn, within the limit.
func (s *socket) SetReadDeadline(t time.Time) error { return s.Conn.SetReadDeadline(s.capped(t)) }

// SetWriteDeadline is that of net.Conn, within the limit.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.Conn.SetWriteDeadline(s.capped(t)) }

// Classify says what a pgx error means for a retry, by SQLSTATE (PostgreSQL documentation, appendix A).
func Classify(err error) executor.Verdict {
	var pg *pgconn.PgError
	switch {
	case executor.IsNotStarted(err), pgconn.SafeToRetry(err):
		return executor.VerdictNotStarted
	case !errors.As(err, &pg):
		return executor.VerdictDefault
	}
	switch {
	case pg.Code == "53300" || pg.Code == "57P03": // too many connections; starting up or shutting down
		return executor.VerdictOverload
	case pg.Code[:2] == "53": // insufficient resources
		return executor.VerdictOverload
	case pg.Code == "40001" || pg.Code == "40P01": // rolled back, for another transaction's sake
		return executor.VerdictNotStarted
	case pg.Code[:2] == "08" || pg.Code[:2] == "57": // connection lost; shutdown, crash
		return executor.VerdictRetry
	}
	return executor.VerdictFatal
}
