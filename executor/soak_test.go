package executor_test

import (
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

var soakFor = flag.Duration("soak", 0, "length of TestSoak, e.g. 10m; 0 leaves it out")

// footprint is what must stay flat.
type footprint struct{ goroutines, sockets, rssKiB int }

func takeFootprint(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	f := footprint{goroutines: runtime.NumGoroutine()}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			f.sockets++
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			f.rssKiB, _ = strconv.Atoi(fields[1])
		}
	}
	return f
}

// Everything that can go wrong with a command, over sockets of a server that never answers, all the time:
// goroutines, sockets and memory stay flat. go test ./executor -run TestSoak -soak 10m -timeout 15m
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("set -soak=10m to run it")
	}
	black, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() { // accepts, stays silent, and lets go when the client does
		for {
			conn, err := black.Accept()
			if err != nil {
				return
			}
			accepted.Go(func() {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
			})
		}
	})
	ex, err := executor.New([]executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 16, MaxQueue: 256, Timeout: executor.Timeout{Base: 50 * time.Millisecond, Max: 200 * time.Millisecond, Grace: 20 * time.Millisecond}, Retry: executor.Retry{Max: 2, Ratio: .5}},
		{Name: "high", Weight: 100, MaxParallel: 16, Reserve: 8, MaxQueue: 256, Tier: executor.TierHigh, Timeout: executor.Timeout{Base: 50 * time.Millisecond, Max: 200 * time.Millisecond, Grace: 20 * time.Millisecond}},
	}, executor.WithSinks(executor.SinkFunc(func(executor.Alert) {})), executor.WithObserver(func(executor.AttemptRecord) {}))
	if err != nil {
		t.Fatal(err)
	}
	submit := func(i int) {
		class := []string{"low", "high"}[i%2]
		c := executor.Command[int]{Class: class, Target: strconv.Itoa(i % 1000), Idempotent: i%3 == 0}
		switch i % 7 {
		case 0: // hangs in a socket, and is killed
			c.Run = func(ctx context.Context, a executor.Attempt) (int, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", black.Addr().String())
				if err != nil {
					return 0, executor.NotStarted(err)
				}
				a.OnKill(conn.Close)
				defer func() { _ = conn.Close() }()
				return conn.Read(make([]byte, 1))
			}
		case 1: // hangs, ignores everything, and comes back too late
			c.Run = func(context.Context, executor.Attempt) (int, error) {
				<-time.After(300 * time.Millisecond)
				return 1, nil
			}
		case 2:
			c.Run = func(context.Context, executor.Attempt) (int, error) { panic("soak") }
		case 3:
			c.Run = func(context.Context, executor.Attempt) (int, error) { return 0, errors.New("fails") }
		case 4:
			c.Run = func(ctx context.Context, _ executor.Attempt) (int, error) { return 0, wait(ctx, time.Hour) }
		default:
			c.Run = func(context.Context, executor.Attempt) (int, error) { return 1, nil }
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		f := executor.Submit(ctx, ex, c)
		go func() {
			defer cancel()
			_, _ = f.Wait(context.Background())
		}()
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	load := func(until time.Time) (n int) {
		for ; time.Now().Before(until); n++ {
			<-tick.C
			submit(n)
		}
		pause(3 * time.Second) // what hangs comes back
		return n
	}
	load(time.Now().Add(*soakFor / 5)) // the first fifth warms up
	before := takeFootprint(t)
	n := load(time.Now().Add(*soakFor * 4 / 5))
	after := takeFootprint(t)
	t.Logf("%d commands; before %+v, after %+v; %+v", n, before, after, ex.Stats())
	if after.goroutines > before.goroutines+5 || after.sockets > before.sockets || after.rssKiB > before.rssKiB+5*1024 {
		t.Errorf("before %+v, after %+v: want goroutines +-5, sockets +0, RSS +-5 MiB", before, after)
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	_ = black.Close()
	accepted.Wait()
}
