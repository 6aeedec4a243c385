package podexec

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	spdytransport "k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// request is how client-go is told of the end of a stream's context.
//
// Over SPDY it gets the context, and its socket is closed with that. Over WebSocket, it obeys the context while it
// dials, but reads the answer without it. After the answer it does obey it, but leaves the stream's goroutines behind
// for good when the socket is closed before its read loop begins (wsStreamCreator.readDemuxLoop, which returns if it
// cannot set a deadline, without a word to the streams). So the context is kept from it then, and the socket is not
// closed but shut down: to client-go, the server has gone.
type request struct {
	ctx      context.Context
	upgraded func() bool // reports whether the upgrade came before the end
	end      context.CancelFunc
}

func newRequest(ctx context.Context, protocol Protocol) request {
	if protocol != WebSocket {
		return request{ctx: ctx, upgraded: func() bool { return ctx.Err() == nil }, end: func() {}}
	}
	inner, end := context.WithCancel(context.WithoutCancel(ctx))
	var conn net.Conn
	inner = httptrace.WithClientTrace(inner, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn = info.Conn
		context.AfterFunc(ctx, func() { shutdown(conn) })
	}})
	connecting := context.AfterFunc(ctx, end)
	return request{ctx: inner, end: end, upgraded: func() bool {
		if connecting() && ctx.Err() == nil {
			return true
		}
		_ = conn.Close() // client-go forgets it
		return false
	}}
}

// shutdown lets all reads from conn and writes to it fail, but not what else is done with it.
func shutdown(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return
	}
	_ = tcp.CloseRead() // both fail on a connection that is closed already
	_ = tcp.CloseWrite()
}

// webSocket makes a WebSocket executor.
func (c *Client) webSocket(location *url.URL, a answers) (remotecommand.Executor, error) {
	cfg := rest.CopyConfig(c.rest)
	cfg.Wrap(notifyUpgrade(a))
	return remotecommand.NewWebSocketExecutor(cfg, http.MethodGet, location.String())
}

// spdy makes a SPDY executor whose socket is closed with the request's context. The HTTP proxy of the environment is
// not used: client-go has no place for both.
func (c *Client) spdy(location *url.URL, a answers) (remotecommand.Executor, error) {
	tlsConfig, err := rest.TLSConfigFor(c.rest)
	if err != nil {
		return nil, err
	}
	dial := c.rest.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	upgrader, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{
		PingPeriod: spdyPing,
		UpgradeTransport: &http.Transport{
			TLSClientConfig: tlsConfig,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				context.AfterFunc(ctx, func() { _ = conn.Close() })
				return &lingering{conn, ctx}, nil
			},
		},
	})
	if err != nil {
		return nil, err
	}
	cfg := rest.CopyConfig(c.rest)
	cfg.Wrap(notifyUpgrade(a))
	wrapped, err := rest.HTTPWrappersForConfig(cfg, upgrader)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutorForTransports(wrapped, spdytransport.NewUpgraderForStreaming(upgrader), http.MethodPost, location)
}

// linger is more than enough for a write to fail on a closed socket.
const linger = time.Second

// lingering tells of the end of ctx's connection late to those who read from it. spdystream waits for ever for a stream
// that is created after its read loop has ended; while the loop goes on, creating one fails, and it is cleaned up after.
type lingering struct {
	net.Conn
	ctx context.Context
}

// Read is that of net.Conn.
func (c *lingering) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.ctx.Err() != nil {
		<-time.After(linger)
	}
	return n, err
}

// notifyUpgrade passes the server's answer on.
func notifyUpgrade(a answers) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := rt.RoundTrip(req)
			switch {
			case err != nil:
			case resp.StatusCode == http.StatusSwitchingProtocols:
				if err = a.upgraded(); err != nil {
					return nil, err
				}
			default:
				a.refused(refusal(resp))
			}
			return resp, err
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
