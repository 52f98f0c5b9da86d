package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ONC RPC, RFC 5531, over TCP. A call waits for its answer for ever, as on a hard mount: a connection that breaks is made anew, and what has no answer yet is asked again
// under its number. A server that hangs and keeps the connection answers when it goes on.

const (
	dialTimeout = 5 * time.Second
	redialAfter = 500 * time.Millisecond
	// A link that is cut is noticed after this time, and the server that is back after at most as long again.
	silentTimeout = 10 * time.Second
	maxReply      = 4 << 20
)

type credential struct{ uid, gid uint32 }

type call struct {
	record []byte
	answer chan []byte
}

type client struct {
	address string
	mutex   sync.Mutex
	changed *sync.Cond
	next    uint32
	pending map[uint32]*call
	// What the connection of now has still to send.
	queue    []*call
	isClosed bool
}

func dial(address string) *client {
	c := &client{address: address, next: rand.Uint32(), pending: map[uint32]*call{}}
	c.changed = sync.NewCond(&c.mutex)
	go func() {
		for !c.closed() {
			connection, err := connect(address)
			if err == nil {
				c.serve(connection)
			}
			time.Sleep(redialAfter)
		}
	}()
	return c
}

func (c *client) closed() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.isClosed
}

func (c *client) close() {
	c.mutex.Lock()
	c.isClosed = true
	c.mutex.Unlock()
	c.changed.Broadcast()
}

// From a port that root alone has: servers ask for one.
func connect(address string) (net.Conn, error) {
	err := fmt.Errorf("no port below 1024 is free")
	for range 16 {
		dialer := net.Dialer{
			Timeout:   dialTimeout,
			LocalAddr: &net.TCPAddr{Port: 665 + rand.IntN(1023-665)},
			Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) {
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
					unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silentTimeout.Milliseconds()))
				})
			},
		}
		var connection net.Conn
		if connection, err = dialer.Dial("tcp", address); err == nil {
			return connection, nil
		}
		if !isTaken(err) {
			break
		}
	}
	return nil, err
}

func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (c *client) serve(connection net.Conn) {
	c.mutex.Lock()
	c.queue = nil
	for _, asked := range c.pending {
		c.queue = append(c.queue, asked)
	}
	c.mutex.Unlock()
	isBroken := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c.mutex.Lock()
			for len(c.queue) == 0 && !isBroken && !c.isClosed {
				c.changed.Wait()
			}
			if isBroken || c.isClosed {
				c.mutex.Unlock()
				connection.Close()
				return
			}
			asked := c.queue[0]
			c.queue = c.queue[1:]
			c.mutex.Unlock()
			if _, err := connection.Write(asked.record); err != nil {
				connection.Close()
				return
			}
		}
	}()
	from := bufio.NewReaderSize(connection, 1<<16)
	for {
		reply, err := readRecord(from)
		if err != nil || len(reply) < 4 {
			break
		}
		c.mutex.Lock()
		xid := binary.BigEndian.Uint32(reply)
		if asked, ok := c.pending[xid]; ok {
			delete(c.pending, xid)
			asked.answer <- reply[4:]
		}
		c.mutex.Unlock()
	}
	connection.Close()
	c.mutex.Lock()
	isBroken = true
	c.mutex.Unlock()
	c.changed.Broadcast()
	<-done
}

// Fragments of one message, each with its length and whether it is the last.
func readRecord(from io.Reader) ([]byte, error) {
	var record []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return nil, err
		}
		mark := binary.BigEndian.Uint32(head[:])
		length := int(mark &^ (1 << 31))
		if length+len(record) > maxReply {
			return nil, fmt.Errorf("an answer of %d bytes is longer than %d", length+len(record), maxReply)
		}
		at := len(record)
		record = append(record, make([]byte, length)...)
		if _, err := io.ReadFull(from, record[at:]); err != nil {
			return nil, err
		}
		if mark>>31 == 1 {
			return record, nil
		}
	}
}

// Gives up with EINTR where `abandoned` is closed, and never otherwise.
func (c *client) call(program, version, procedure uint32, as credential, arguments []byte, abandoned <-chan struct{}) (*reader, syscall.Errno) {
	c.mutex.Lock()
	c.next++
	xid := c.next
	// Length; xid, CALL, RPC version 2; AUTH_SYS of stamp, machine, uid, gid and no further groups; AUTH_NONE.
	head := (&writer{}).uint32(0, xid, 0, 2, program, version, procedure)
	head.uint32(1).opaque((&writer{}).uint32(0).string("").uint32(as.uid, as.gid, 0).bytes)
	head.uint32(0, 0)
	record := append(head.bytes, arguments...)
	binary.BigEndian.PutUint32(record, uint32(len(record)-4)|1<<31)
	asked := &call{record: record, answer: make(chan []byte, 1)}
	c.pending[xid] = asked
	c.queue = append(c.queue, asked)
	c.mutex.Unlock()
	c.changed.Signal()
	select {
	case answer := <-asked.answer:
		return accepted(answer)
	case <-abandoned:
		c.mutex.Lock()
		delete(c.pending, xid)
		c.mutex.Unlock()
		return nil, syscall.EINTR
	}
}

func accepted(answer []byte) (*reader, syscall.Errno) {
	r := &reader{bytes: answer}
	isReply, isDenied := r.uint32() == 1, r.bool()
	if !isReply || isDenied {
		return nil, syscall.EACCES
	}
	r.uint32()
	r.opaque()
	if status := r.uint32(); status != 0 || r.isCut {
		return nil, syscall.EIO
	}
	return r, 0
}
