package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// requests numbers the connections of this process: the protocol pairs streams by that.
var requests atomic.Int64

// forward connects to a port of a pod through the API server, as `kubectl port-forward` does.
func (c *Cluster) forward(ctx context.Context, pod, port string) (net.Conn, error) {
	url := c.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.options.Namespace).Name(pod).SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, c.options.REST)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.options.REST)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	either := portforward.NewFallbackDialerForStreaming(dialer, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1) // client-go takes no context here
	go func() {
		conn, err := stream(either, port)
		if err == nil && ctx.Err() != nil {
			_ = conn.Close()
		}
		done <- dialled{conn, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("forward port %s of pod %s: %w", port, pod, context.Cause(ctx))
	case d := <-done:
		if d.err != nil {
			return nil, fmt.Errorf("forward port %s of pod %s: %w", port, pod, d.err)
		}
		return d.conn, nil
	}
}

func stream(dialer httpstream.Dialer, port string) (net.Conn, error) {
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	headers := http.Header{}
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(requests.Add(1), 10))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = failures.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	local, remote := net.Pipe() // gives the stream deadlines, which clients of databases need
	f := &forwarded{Conn: local, remote: remote, conn: conn}
	go func() {
		_, _ = io.Copy(remote, data)
		_ = f.Close()
	}()
	go func() {
		_, _ = io.Copy(data, remote)
		_ = f.Close()
	}()
	go func() {
		if text, _ := io.ReadAll(failures); len(text) > 0 { // the pod refused
			_ = f.Close()
		}
	}()
	return f, nil
}

// forwarded is one end of a pipe whose other end is copied to and from a stream.
type forwarded struct {
	net.Conn
	remote net.Conn
	conn   httpstream.Connection
	once   sync.Once
	err    error
}

// Close ends the stream too.
func (f *forwarded) Close() error {
	f.once.Do(func() { f.err = errors.Join(f.Conn.Close(), f.remote.Close(), f.conn.Close()) })
	return f.err
}
