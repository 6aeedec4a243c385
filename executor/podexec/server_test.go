package podexec_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// apiServer speaks the exec protocols with Kubernetes' own server code, and runs real processes. As in Kubernetes,
// nobody ends a process whose stream is gone.
type apiServer struct {
	*httptest.Server
	noWebSocket bool
	status      atomic.Pointer[metav1.Status] // refuses requests, if set
	execs       atomic.Int64
	mu          sync.Mutex
	processes   []*exec.Cmd
}

func newAPIServer(tb testing.TB, secure bool) *apiServer {
	tb.Helper()
	s := &apiServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	tb.Cleanup(func() {
		s.mu.Lock()
		for _, p := range s.processes {
			_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		}
		s.mu.Unlock()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// config is that of a client; address is where it connects to, "" for the server itself.
func (s *apiServer) config(address string) *rest.Config {
	cfg := &rest.Config{Host: s.URL}
	if s.TLS != nil {
		cfg.Insecure = true
	}
	if address != "" {
		scheme := "http://"
		if s.TLS != nil {
			scheme = "https://"
		}
		cfg.Host = scheme + address
	}
	return cfg
}

// remote is the server's end of a stream.
type remote struct {
	stdin                 io.Reader
	stdout, stderr, error io.Writer
	close                 func()
}

func (s *apiServer) serve(w http.ResponseWriter, req *http.Request) {
	s.execs.Add(1)
	if status := s.status.Load(); status != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Code))
		_ = json.NewEncoder(w).Encode(status)
		return
	}
	open := s.openSPDY
	if wsstream.IsWebSocketRequest(req) {
		if s.noWebSocket {
			http.Error(w, "websocket is not supported", http.StatusBadRequest)
			return
		}
		open = s.openWebSocket
	}
	r, err := open(w, req)
	if err != nil {
		return
	}
	defer r.close()
	s.run(req.URL.Query()["command"], r)
}

func (s *apiServer) openWebSocket(w http.ResponseWriter, req *http.Request) (*remote, error) {
	q := req.URL.Query()
	kind := func(name string, k wsstream.ChannelType) wsstream.ChannelType {
		if q.Get(name) != "true" {
			return wsstream.IgnoreChannel
		}
		return k
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: []wsstream.ChannelType{
			kind("stdin", wsstream.ReadChannel), kind("stdout", wsstream.WriteChannel), kind("stderr", wsstream.WriteChannel),
			wsstream.WriteChannel, wsstream.ReadChannel,
		}},
	})
	conn.SetIdleTimeout(time.Hour)
	_, streams, err := conn.Open(w, req)
	if err != nil {
		return nil, err
	}
	r := &remote{stdout: streams[1], stderr: streams[2], error: streams[3], close: func() { _ = conn.Close() }}
	if q.Get("stdin") == "true" {
		r.stdin = streams[0]
	}
	return r, nil
}

func (s *apiServer) openSPDY(w http.ResponseWriter, req *http.Request) (*remote, error) {
	if _, err := httpstream.Handshake(req, w, []string{remotecommand.StreamProtocolV4Name}); err != nil {
		return nil, err
	}
	q := req.URL.Query()
	want := 1
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		if q.Get(name) == "true" {
			want++
		}
	}
	streams := make(chan httpstream.Stream, want)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, req, func(stream httpstream.Stream, replied <-chan struct{}) error {
		go func() { <-replied; streams <- stream }()
		return nil
	})
	if conn == nil {
		return nil, errors.New("no upgrade")
	}
	r := &remote{stdout: io.Discard, stderr: io.Discard, close: func() { _ = conn.Close() }}
	for range want {
		select {
		case stream := <-streams:
			switch stream.Headers().Get(corev1.StreamType) {
			case corev1.StreamTypeStdin:
				r.stdin = stream
			case corev1.StreamTypeStdout:
				r.stdout = stream
			case corev1.StreamTypeStderr:
				r.stderr = stream
			case corev1.StreamTypeError:
				r.error = stream
			}
		case <-conn.CloseChan():
			return nil, io.EOF
		}
	}
	return r, nil
}

// run starts the process and reports its status.
func (s *apiServer) run(command []string, r *remote) {
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second // cuts off what was left behind with the pipes, and not a client that is slow to read
	cmd.Stdout, cmd.Stderr = r.stdout, r.stderr
	status := metav1.Status{Status: metav1.StatusSuccess}
	err := s.start(cmd, r.stdin)
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(exit.ExitCode())}}},
		}
	case err != nil:
		status = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	_ = json.NewEncoder(r.error).Encode(status)
}

func (s *apiServer) start(cmd *exec.Cmd, stdin io.Reader) error {
	var in io.WriteCloser
	if stdin != nil {
		var err error
		if in, err = cmd.StdinPipe(); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.processes = append(s.processes, cmd)
	s.mu.Unlock()
	if in != nil {
		go func() { _, _ = io.Copy(in, stdin); _ = in.Close() }()
	}
	return nil
}

// listen accepts connections until the test ends, and hands each to serve.
func listen(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() {
				serve(conn)
				_ = conn.Close()
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// silent accepts and never says anything; reached is closed when a client waits for it.
func silent(tb testing.TB) (address string, reached <-chan struct{}) {
	tb.Helper()
	waits := make(chan struct{})
	first := sync.OnceFunc(func() { close(waits) })
	return listen(tb, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		first()
		_, _ = io.Copy(io.Discard, conn)
	}), waits
}

// upgradesAndStops answers the upgrade, and then never says anything; reached is closed then. cfg is for TLS, or nil.
func upgradesAndStops(tb testing.TB, cfg *tls.Config, answers bool) (address string, reached <-chan struct{}) {
	tb.Helper()
	stopped := make(chan struct{})
	first := sync.OnceFunc(func() { close(stopped) })
	return listen(tb, func(conn net.Conn) {
		if cfg != nil {
			conn = tls.Server(conn, cfg)
		}
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		if answers {
			answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			if key := req.Header.Get("Sec-WebSocket-Key"); key != "" {
				sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 1.3
				answer += fmt.Sprintf("Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n",
					base64.StdEncoding.EncodeToString(sum[:]), remotecommand.StreamProtocolV5Name)
			} else {
				answer += "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: " + remotecommand.StreamProtocolV4Name + "\r\n"
			}
			_, _ = io.WriteString(conn, answer+"\r\n")
		}
		first()
		_, _ = io.Copy(io.Discard, conn)
	}), stopped
}

// freezer passes bytes on until it is frozen; then it takes none and gives none, and does not close.
type freezer struct {
	address string
	frozen  chan struct{}
}

func newFreezer(tb testing.TB, backend string) *freezer {
	tb.Helper()
	f := &freezer{frozen: make(chan struct{})}
	ended := make(chan struct{})
	f.address = listen(tb, func(front net.Conn) {
		back, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", backend)
		if err != nil {
			return
		}
		pass := func(to, from net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := from.Read(buf)
				select {
				case <-f.frozen:
					<-ended
					_, _ = to.Close(), from.Close()
					return
				default:
				}
				if err != nil {
					_ = to.Close()
					return
				}
				_, _ = to.Write(buf[:n])
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { pass(back, front) })
		pass(front, back)
		wg.Wait()
	})
	tb.Cleanup(func() { close(ended) }) // before the listener's own, which waits for those who wait for this
	return f
}

func (f *freezer) freeze() { close(f.frozen) }
