// Package podexec runs commands in Kubernetes pods, through client-go's remotecommand, so that none of them can hang
// its caller: neither before the upgrade, nor after it, nor in mid-stream, over TLS or not.
//
// client-go alone does not give that. Its SPDY executor ignores its context until the server has answered the
// upgrade, and leaks a connection and some 15 goroutines for each stream that the server never acknowledges; its
// WebSocket executor obeys a deadline there, but not a cancellation (kubernetes/kubernetes pull requests 103177,
// 107605 and 116412), and forgets its goroutines if that comes right after the answer. Here the socket of every stream is
// bound to the context of its attempt, and is closed with it; see request.
// What client-go keeps even so, of a SPDY stream that was never acknowledged, is one goroutine with some 0.8 MiB of
// buffers for 30 s; of a WebSocket, its heartbeat for 5 s.
//
// What the API server does not do either is limit exec: such requests are exempt from API priority and fairness.
// The classes of the executor are the only limit. Nor does anybody end the process in the pod when its stream is
// gone; so it runs under timeout(1), for less time than the attempt has.
//
// By default a command runs in a kept session, a shell in the pod that takes one command after the other, so that
// it costs a round trip and not a new stream.
package podexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/pool"
)

// Protocol is how streams are transported.
type Protocol int

// The protocols.
const (
	// Auto tries WebSocket, and SPDY where the server cannot upgrade to that.
	Auto Protocol = iota
	// WebSocket is protocol v5.channel.k8s.io, served by Kubernetes 1.30 and newer.
	WebSocket
	// SPDY is SPDY/3.1.
	SPDY
)

// DefaultMaxOutput bounds stdout and stderr, in bytes each.
const DefaultMaxOutput = 1 << 20

// spdyPing is how often a SPDY connection is pinged, as in client-go.
const spdyPing = 5 * time.Second

// Target is a container. An empty Container means the pod's only or default one.
type Target struct{ Namespace, Pod, Container string }

// String is namespace/pod/container.
func (t Target) String() string {
	if t.Container == "" {
		return t.Namespace + "/" + t.Pod
	}
	return t.Namespace + "/" + t.Pod + "/" + t.Container
}

// Config describes a cluster and how its pods are used.
type Config struct {
	// REST is the connection to the API server. Required. Its Timeout has no effect on exec.
	REST *rest.Config
	// Protocol is Auto by default.
	Protocol Protocol
	// Shell is what a session runs in the container. Default "sh".
	Shell string
	// NoRemoteTimeout leaves out timeout(1), for containers that do not have it. Processes whose stream broke then
	// live on in the pod.
	NoRemoteTimeout bool
	// NoSessions makes every command an exec request of its own.
	NoSessions bool
	// MaxSessions bounds the sessions in use per class and target. Default 8.
	MaxSessions int
	// CheckAfter is the idle time after which a session is asked for a sign of life before it is
	// reused. Default 5 s.
	CheckAfter time.Duration
	// MaxIdle and MaxLife end a session that was idle, or lived, so long. Defaults 5 min, 1 h.
	MaxIdle, MaxLife time.Duration
	// MaxOutput bounds stdout and stderr, in bytes each. Default DefaultMaxOutput.
	MaxOutput int
}

// key separates classes, so that none can take another's sessions.
type key struct {
	class  string
	target Target
}

// Client runs commands in the pods of one cluster. It is safe for concurrent use.
type Client struct {
	cfg      Config
	rest     *rest.Config
	requests *rest.RESTClient
	sessions *pool.Pool[key, *session]
}

// New makes a client; it connects to nothing yet.
func New(cfg Config) (*Client, error) {
	if cfg.REST == nil {
		return nil, errors.New("podexec: Config.REST is required")
	}
	if cfg.Shell == "" {
		cfg.Shell = "sh"
	}
	if cfg.MaxOutput <= 0 {
		cfg.MaxOutput = DefaultMaxOutput
	}
	if cfg.CheckAfter <= 0 {
		cfg.CheckAfter = 5 * time.Second
	}
	restConfig := rest.CopyConfig(cfg.REST)
	restConfig.APIPath = "/api"
	restConfig.GroupVersion = &corev1.SchemeGroupVersion
	restConfig.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	restConfig.Timeout = 0
	requests, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return nil, fmt.Errorf("podexec: %w", err)
	}
	c := &Client{cfg: cfg, rest: restConfig, requests: requests}
	c.sessions = pool.New(pool.Config[key, *session]{
		Dial:  func(ctx context.Context, k key) (*session, error) { return c.open(ctx, k.target) },
		Check: func(ctx context.Context, s *session) error { return s.check(ctx, cfg.CheckAfter) },
		Close: (*session).close,
		Max:   cfg.MaxSessions, MaxIdle: cfg.MaxIdle, MaxLife: cfg.MaxLife,
		CheckAfter: time.Nanosecond, // the session knows better
	})
	return c, nil
}

// Stats counts sessions of all classes and targets.
func (c *Client) Stats() pool.Stats { return c.sessions.Stats() }

// Close ends all sessions, and waits for that until ctx is done.
func (c *Client) Close(ctx context.Context) error { return c.sessions.Close(ctx) }

// Streams are those of a remote process; nil ones are not requested.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec makes one exec request and returns when the process has ended, or ctx is done. Reads from Stdin and writes
// to Stdout and Stderr should not block: the goroutine that does them, and the socket, stay until they return. A status other than 0
// is an *ExitError. connect bounds the time until the stream is there. Errors before that are marked
// with executor.NotStarted.
//
// It is the plain transport, without executor, session and timeout(1); see Command.
func (c *Client) Exec(ctx context.Context, t Target, connect time.Duration, s Streams, command ...string) error {
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, logr.Discard())) // client-go logs every broken stream
	defer cancel()                                                          // closes the socket, in case client-go did not
	location := c.requests.Post().Resource("pods").Namespace(t.Namespace).Name(t.Pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: t.Container, Command: command,
			Stdin: s.Stdin != nil, Stdout: s.Stdout != nil, Stderr: s.Stderr != nil,
		}, scheme.ParameterCodec).URL()
	options := remotecommand.StreamOptions{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr}
	var err error
	if c.cfg.Protocol != SPDY {
		err = c.stream(ctx, WebSocket, connect, location, options)
	}
	if c.cfg.Protocol == SPDY || c.cfg.Protocol == Auto && wantsSPDY(err) {
		err = c.stream(ctx, SPDY, connect, location, options)
	}
	return exitError(command, err)
}

// wantsSPDY reports whether the server refused to speak WebSocket, as opposed to refusing the request.
func wantsSPDY(err error) bool {
	_, answered := statusOf(err)
	return httpstream.IsUpgradeFailure(err) && !answered || httpstream.IsHTTPSProxyError(err)
}

// errConnect is the cause of a context that ended because there was no stream in time.
var errConnect = errors.New("podexec: no answer to the upgrade within the connect timeout")

// answers is told what the server said to an upgrade. An error of upgraded ends the request.
type answers struct {
	upgraded func() error
	refused  func(error)
}

// stream runs one stream with an executor of its own: client-go's are for one use.
func (c *Client) stream(ctx context.Context, protocol Protocol, connect time.Duration, location *url.URL, options remotecommand.StreamOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(connect, func() { cancel(errConnect) })
	defer timer.Stop()
	request, newExecutor := newRequest(ctx, protocol), c.spdy
	if protocol == WebSocket {
		newExecutor = c.webSocket
	}
	upgraded := make(chan struct{})
	var answer error
	exec, err := newExecutor(location, answers{
		upgraded: func() error {
			if !timer.Stop() { // it may not have cancelled yet
				cancel(errConnect)
			}
			if !request.upgraded() {
				return context.Cause(ctx)
			}
			close(upgraded)
			return nil
		},
		refused: func(err error) { answer = err },
	})
	if err != nil {
		return executor.NotStarted(fmt.Errorf("podexec: %w", err))
	}
	ended := make(chan error, 1)
	go func() {
		err := exec.StreamWithContext(request.ctx, options)
		request.end()
		if answer != nil { // set in this goroutine, if at all
			err = fmt.Errorf("%w: %w", answer, err)
		}
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done(): // what client-go says then is an accident: "use of closed network connection", "i/o timeout"
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	select {
	case <-upgraded:
		return err
	default:
		return executor.NotStarted(refused(err))
	}
}
