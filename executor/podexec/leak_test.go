package podexec_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
)

// waitAll is for the one wait that the default run leaves out: go test ./executor/podexec -args -leak
var waitAll = flag.Bool("leak", false, "also wait, half a minute twice, until client-go gives unacknowledged SPDY streams up")

// How long client-go needs to notice that a connection is gone.
const (
	heartbeat = 10 * time.Second // a WebSocket's next ping comes within 5 s; the rest is for busy machines
	ackWait   = 40 * time.Second // a SPDY stream waits 30 s for its acknowledgement
)

// unacknowledged is the function in which client-go waits for the acknowledgement of a SPDY stream, whatever happens
// to the connection. One goroutine per stream is there for 30 s, and keeps up to 1 MiB of buffers; no socket.
const unacknowledged = "github.com/moby/spdystream.(*Stream).WaitTimeout"

func TestMain(m *testing.M) {
	flag.Parse()
	// Hangs cost time and not processors: without this, the hang matrix would take its sum of timeouts over two.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	options, limit := []goleak.Option{goleak.IgnoreAnyFunction(unacknowledged)}, heartbeat
	if *waitAll {
		options, limit = nil, ackWait
	}
	for deadline := time.Now().Add(limit); code == 0; <-time.After(100 * time.Millisecond) {
		err := goleak.Find(options...)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// A hundred killed streams leave nothing behind: no goroutine, no socket, no heap; but see unacknowledged. Scenario 2.
func TestNothingLeaks(t *testing.T) {
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			address, _ := upgradesAndStops(t, nil, true)
			c := newClient(t, podexec.Config{REST: &rest.Config{Host: "http://" + address}, Protocol: protocol})
			ex := newExecutor(t, 300*time.Millisecond)
			const streams = 100
			before := measure(t)
			futures := make([]*executor.Future[podexec.Result], 0, streams)
			for range streams {
				cmd := command("true")
				cmd.Fresh = true
				futures = append(futures, executor.Submit(t.Context(), ex, c.Wrap(cmd)))
			}
			for _, f := range futures {
				if _, err := f.Wait(t.Context()); !errors.Is(err, executor.ErrTimeout) {
					t.Fatal(err)
				}
			}
			limit := heartbeat // far less than a SPDY stream waits, which is what may be left of them
			if *waitAll {
				limit = ackWait
			}
			after := measure(t)
			for deadline := time.Now().Add(limit); time.Now().Before(deadline); after = measure(t) {
				if after.goroutines <= before.goroutines && after.sockets <= before.sockets && (after.waiting == 0 || !*waitAll) &&
					after.heap <= before.heap+uint64(1+after.waiting)<<20 {
					break
				}
				<-time.After(100 * time.Millisecond)
			}
			t.Logf("before %+v, after %+v", before, after)
			if after.goroutines > before.goroutines+2 || after.sockets > before.sockets {
				t.Errorf("before %+v, after %+v: goroutines or sockets leak", before, after)
			}
			if after.waiting > before.waiting+streams || *waitAll && after.waiting > 0 {
				t.Errorf("%d goroutines wait for the acknowledgement of %d streams", after.waiting-before.waiting, streams)
			}
			if most := uint64(1+after.waiting) << 20; after.heap > before.heap+most {
				t.Errorf("heap grew by %d KiB, want less than %d", (after.heap-before.heap)>>10, most>>10)
			}
		})
	}
}

// A stream that is cancelled in the moment of its upgrade, which client-go's WebSocket executor would leave goroutines of
// behind; TestMain looks for them.
func TestCancelledAtUpgrade(t *testing.T) {
	plain, secure := newAPIServer(t, false), newAPIServer(t, true)
	tlsConfig := secure.TLS.Clone()
	tlsConfig.NextProtos = nil
	for i := range 200 {
		server, cfg := plain, (*tls.Config)(nil)
		if i%2 == 0 {
			server, cfg = secure, tlsConfig
		}
		address, reached := upgradesAndStops(t, cfg, true)
		c := newClient(t, podexec.Config{REST: server.config(address), Protocol: podexec.WebSocket})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-reached
			cancel()
		}()
		if err := c.Exec(ctx, pod, patience, podexec.Streams{Stdout: io.Discard}, "true"); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// usage is what could leak; goroutines are those that are not waiting for an acknowledgement.
type usage struct {
	goroutines, waiting, sockets int
	heap                         uint64
}

func measure(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	u := usage{heap: m.HeapAlloc}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			u.sockets++
		}
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if strings.Contains(stack, unacknowledged) {
			u.waiting++
		} else {
			u.goroutines++
		}
	}
	return u
}
