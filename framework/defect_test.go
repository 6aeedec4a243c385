package framework

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
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
	err := config{provider: "embedded", world: "auto", seedDefect: "gremlins"}.check()
	if err == nil || !strings.Contains(err.Error(), "heal-nothing, inject-nothing") {
		t.Errorf("got %v, want an error that lists the defects", err)
	}
	if err := (config{provider: "embedded", world: "auto", seedDefect: "heal-nothing"}).check(); err != nil {
		t.Error(err)
	}
}
