package framework

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// message is one of PostgreSQL's, with its type and NUL-terminated strings.
func message(kind byte, text ...string) []byte {
	var body []byte
	for _, t := range text {
		body = append(append(body, t...), 0)
	}
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

func TestReplayerDoublesInsertsAlone(t *testing.T) {
	r := &replayer{inserts: map[string]bool{}}
	sync := message('S')
	prepare := bytes.Join([][]byte{message('P', "w", "INSERT INTO t"), message('P', "r", "SELECT 1"), sync}, nil)
	if got := r.twice(prepare); !bytes.Equal(got, prepare) {
		t.Errorf("preparing became %q", got)
	}
	read := bytes.Join([][]byte{message('B', "", "r"), message('E', ""), sync}, nil)
	if got := r.twice(read); !bytes.Equal(got, read) {
		t.Errorf("a read became %q", got)
	}
	bind, execute := message('B', "", "w"), message('E', "")
	want := bytes.Join([][]byte{bind, execute, bind, execute, sync}, nil)
	if got := r.twice(bytes.Join([][]byte{bind, execute, sync}, nil)); !bytes.Equal(got, want) {
		t.Errorf("a write became %q, want %q", got, want)
	}
	for _, other := range [][]byte{{0, 0, 0, 8, 4, 210, 22, 47}, []byte("GET / HTTP/1.1\r\n"), bind[:len(bind)-1], nil} {
		if got := r.twice(other); !bytes.Equal(got, other) {
			t.Errorf("%q became %q", other, got)
		}
	}
}

func TestUnknownDefectIsRefused(t *testing.T) {
	err := config{provider: "embedded", world: "auto", slowdown: defaultSlowdown, seedDefect: "gremlins"}.check()
	if err == nil || !strings.Contains(err.Error(), "heal-nothing, inject-nothing") {
		t.Errorf("got %v, want an error that lists the defects", err)
	}
	if err := (config{provider: "embedded", world: "auto", slowdown: defaultSlowdown, seedDefect: "heal-nothing"}).check(); err != nil {
		t.Error(err)
	}
}

// Answers come late from an injection to its heal, and on a connection that is made.
func TestAnswersAreLateWhileTheFaultIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowAnswers()
		slow := d.target(nil).(sluggish).slow
		m := d.cluster(nil).(meddledCluster).meddler
		server, client := net.Pipe()
		defer server.Close() //nolint:errcheck // a pipe
		conn := &lateConn{Conn: client, late: slow.Load}
		took := func() time.Duration {
			go func() { _, _ = server.Write([]byte("answer")) }()
			began := time.Now()
			if n, err := conn.Read(make([]byte, 10)); n != 6 || err != nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
			return time.Since(began)
		}
		for _, step := range []struct {
			do   func(context.Context, action) error
			want time.Duration
		}{{func(context.Context, action) error { return nil }, 0}, {m.injects, late}, {m.heals, 0}} {
			if err := step.do(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if got := took(); got != step.want {
				t.Errorf("an answer took %s, want %s", got, step.want)
			}
		}
	})
}
