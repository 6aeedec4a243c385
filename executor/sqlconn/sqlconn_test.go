package sqlconn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/local"
	"github.com/cutset-dev/cutset/executor/sqlconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real PostgreSQL in a directory of its own.
type server struct {
	port int
	pid  int
}

// start makes a database and starts its server, as another user if this one is root.
func start(t *testing.T) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real PostgreSQL server; left out by -short")
	}
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil && len(bins) == 0 {
		bins = append(bins, path)
	}
	if len(bins) == 0 {
		t.Skip("no PostgreSQL server here: neither /usr/lib/postgresql/*/bin/initdb nor initdb in PATH")
	}
	sort.Strings(bins)
	bin := filepath.Dir(bins[len(bins)-1])
	dir, err := os.MkdirTemp("", "cutset-sqlconn-") //nolint:usetesting // t.TempDir is below a directory that only this user may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{Pdeathsig: 0}
	if os.Getuid() == 0 {
		const nobody = 65534 // the server refuses to run as root
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := local.Run(ctx, local.Cmd{
		Path: filepath.Join(bin, "initdb"), SysProcAttr: attr, Dir: dir, Env: []string{"PATH=" + bin, "LC_ALL=C"},
		Args: []string{"-D", data, "-A", "trust", "-U", "tester", "-N", "--no-instructions"},
	}); err != nil {
		t.Fatal(err)
	}
	s := &server{port: freePort(t)}
	pidFile := filepath.Join(data, "postmaster.pid")
	serverCtx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		result, err := local.Run(serverCtx, local.Cmd{
			Path: filepath.Join(bin, "postgres"), SysProcAttr: attr, Dir: dir,
			Args: []string{"-D", data, "-p", strconv.Itoa(s.port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB"},
		})
		ended <- fmt.Errorf("%w: %s", err, result.Stderr)
	}()
	t.Cleanup(func() {
		s.signal(t, syscall.SIGCONT)
		stop() // kills the process group of the server
		t.Log("server ended:", <-ended)
	})
	for {
		if conn, err := pgx.Connect(ctx, s.dsn()); err == nil {
			_ = conn.Close(ctx)
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("server: %v", err)
		case <-ctx.Done():
			t.Fatal("server did not come up in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if s.pid, err = strconv.Atoi(strings.Fields(string(text))[0]); err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=tester dbname=postgres sslmode=disable", s.port)
}

// signal reaches every process of the server: each backend is a leader of its own group.
func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if s.pid == 0 {
		return
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.pid, s.pid))
	if err != nil && sig == syscall.SIGSTOP {
		t.Fatal(err)
	}
	for _, field := range append(strings.Fields(string(children)), strconv.Itoa(s.pid)) {
		if pid, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(pid, sig)
		}
	}
}

func (s *server) config(string) (*pgx.ConnConfig, error) { return pgx.ParseConfig(s.dsn()) }

// patience bounds the wait for what comes at once on an idle machine, and never if it is broken; short is for what has
// to be waited for.
const (
	patience = 25 * time.Second
	short    = 400 * time.Millisecond
)

func newExecutor(t *testing.T, timeout, connect time.Duration) *executor.Executor {
	t.Helper()
	ex, err := executor.New([]executor.Class{{
		Name: "sql", Weight: 1, MaxParallel: 4, MaxPerTarget: 4,
		Timeout: executor.Timeout{Base: timeout, Grace: patience, Connect: connect},
		Retry:   executor.Retry{Max: 2, Ratio: 1, Backoff: 10 * time.Millisecond},
	}}, executor.WithSinks(), executor.WithTuning(executor.Tuning{Jitter: -1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ex.Drain(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return ex
}

func newPool(t *testing.T, cfg sqlconn.Config) *sqlconn.Pool {
	t.Helper()
	p, err := sqlconn.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

func backend(ctx context.Context, c *pgx.Conn) (pid int, err error) {
	err = c.QueryRow(ctx, "select pg_backend_pid()").Scan(&pid)
	return pid, err
}

func TestAgainstPostgreSQL(t *testing.T) {
	s := start(t)
	ex := newExecutor(t, patience, patience)
	cmd := sqlconn.Command{Name: "pid", Class: "sql", Target: "pg-0", Idempotent: true}

	t.Run("kept, and replaced when broken", func(t *testing.T) {
		dials := atomic.Int64{}
		p := newPool(t, sqlconn.Config{
			ConnConfig: s.config, CheckAfter: time.Nanosecond,
			Dial: func(ctx context.Context, target, network, address string) (net.Conn, error) {
				dials.Add(1)
				if target != "pg-0" {
					t.Errorf("dial for target %q, want pg-0", target)
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		})
		first, err := sqlconn.Do(t.Context(), ex, p, cmd, backend)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := sqlconn.Do(t.Context(), ex, p, cmd, backend); err != nil || again != first {
			t.Errorf("second command: backend %d, %v, want the kept %d", again, err, first)
		}
		if err := syscall.Kill(first, syscall.SIGTERM); err != nil { // the server ends the kept connection
			t.Fatal(err)
		}
		for deadline := time.Now().Add(patience); syscall.Kill(first, 0) == nil; <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the backend does not end")
			}
		}
		if third, err := sqlconn.Do(t.Context(), ex, p, cmd, backend); err != nil || third == first {
			t.Errorf("after the backend died: %d, %v, want another than %d", third, err, first)
		}
		// A connection that was left inside a transaction is not given to anybody else.
		_, err = sqlconn.Do(t.Context(), ex, p, cmd, func(ctx context.Context, c *pgx.Conn) (int, error) {
			_, err := c.Exec(ctx, "begin")
			return 0, err
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = sqlconn.Do(t.Context(), ex, p, cmd, func(_ context.Context, c *pgx.Conn) (int, error) {
			if c.PgConn().TxStatus() != 'I' {
				t.Error("got a connection inside a transaction")
			}
			return 0, nil
		})
		if err != nil {
			t.Error(err)
		}
		if n := dials.Load(); n != 3 {
			t.Errorf("%d dials, want 3", n)
		}
	})

	t.Run("long query is cancelled on the server too", func(t *testing.T) {
		p := newPool(t, sqlconn.Config{ConnConfig: s.config})
		long := sqlconn.Command{Name: "sleep", Class: "sql", Target: "pg-0"}
		_, err := sqlconn.Do(t.Context(), newExecutor(t, short, patience), p, long, func(ctx context.Context, c *pgx.Conn) (int, error) {
			_, err := c.Exec(ctx, "select pg_sleep(3600)")
			return 0, err
		})
		if !errors.Is(err, executor.ErrTimeout) || !errors.Is(err, executor.ErrOutcomeUnknown) || errors.Is(err, executor.ErrAbandoned) {
			t.Errorf("got %v", err)
		}
		for deadline := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
			n, err := sqlconn.Do(t.Context(), ex, p, cmd, func(ctx context.Context, c *pgx.Conn) (n int, err error) {
				err = c.QueryRow(ctx, "select count(*) from pg_stat_activity where query like '%pg_sleep(3600)%' and state='active' and pid<>pg_backend_pid()").Scan(&n)
				return n, err
			})
			if err == nil && n == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("still %d sleeping on the server, %v", n, err)
			}
		}
	})

	t.Run("errors are classified", func(t *testing.T) {
		p := newPool(t, sqlconn.Config{ConnConfig: s.config})
		runs := 0
		_, err := sqlconn.Do(t.Context(), ex, p, cmd, func(ctx context.Context, c *pgx.Conn) (int, error) {
			runs++
			_, err := c.Exec(ctx, "no such statement")
			return 0, err
		})
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || runs != 1 {
			t.Errorf("syntax error: %d runs, %v, want one run", runs, err)
		}
		_, err = sqlconn.Do(t.Context(), ex, p, sqlconn.Command{Class: "sql", Target: "pg-0"}, func(context.Context, *pgx.Conn) (int, error) { panic("in f") })
		var panicked *executor.PanicError
		if !errors.As(err, &panicked) {
			t.Errorf("panic: %v", err)
		}
	})

	t.Run("frozen server", func(t *testing.T) {
		p := newPool(t, sqlconn.Config{ConnConfig: s.config, CheckAfter: time.Hour})
		if _, err := sqlconn.Do(t.Context(), ex, p, cmd, backend); err != nil {
			t.Fatal(err)
		}
		s.signal(t, syscall.SIGSTOP)
		_, err := sqlconn.Do(t.Context(), newExecutor(t, short, patience), p, sqlconn.Command{Name: "kept", Class: "sql", Target: "pg-0"}, backend)
		if !errors.Is(err, executor.ErrTimeout) || errors.Is(err, executor.ErrAbandoned) {
			t.Errorf("kept connection to a frozen server: %v", err)
		}
		// The connect timeout comes long before that of the attempt, each time: nothing was started, so it is retried.
		_, err = sqlconn.Do(t.Context(), newExecutor(t, patience, short), p, sqlconn.Command{Name: "new", Class: "sql", Target: "pg-1"}, backend)
		var failure *executor.Error
		if !errors.As(err, &failure) || errors.Is(err, executor.ErrTimeout) || !executor.IsNotStarted(err) || failure.Attempts != 3 {
			t.Errorf("new connection to a frozen server: %v", err)
		}
		s.signal(t, syscall.SIGCONT)
		if _, err := sqlconn.Do(t.Context(), ex, p, cmd, backend); err != nil {
			t.Errorf("after the thaw: %v", err)
		}
		if st := ex.Stats(); st.Classes[0].QuarantinePeak != 0 {
			t.Errorf("quarantine peak %d, want 0", st.Classes[0].QuarantinePeak)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := sqlconn.New(sqlconn.Config{}); err == nil {
		t.Error("a pool without ConnConfig was accepted")
	}
}
