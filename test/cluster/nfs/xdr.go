package main

import "encoding/binary"

// XDR, RFC 4506: big-endian, all in units of four bytes.

type writer struct{ bytes []byte }

func (w *writer) uint32(values ...uint32) *writer {
	for _, value := range values {
		w.bytes = binary.BigEndian.AppendUint32(w.bytes, value)
	}
	return w
}

func (w *writer) uint64(value uint64) *writer {
	w.bytes = binary.BigEndian.AppendUint64(w.bytes, value)
	return w
}

func (w *writer) fixed(value []byte) *writer {
	w.bytes = append(w.bytes, value...)
	w.bytes = append(w.bytes, make([]byte, padding(len(value)))...)
	return w
}

func (w *writer) opaque(value []byte) *writer { return w.uint32(uint32(len(value))).fixed(value) }

func (w *writer) string(value string) *writer { return w.opaque([]byte(value)) }

// What is cut reads as zeros, and isCut says so afterwards.
type reader struct {
	bytes []byte
	isCut bool
}

func (r *reader) take(length int) []byte {
	if length < 0 || length > len(r.bytes) {
		r.isCut, r.bytes = true, nil
		return nil
	}
	taken := r.bytes[:length]
	r.bytes = r.bytes[length:]
	return taken
}

func (r *reader) uint32() uint32 {
	if taken := r.take(4); taken != nil {
		return binary.BigEndian.Uint32(taken)
	}
	return 0
}

func (r *reader) uint64() uint64 { return uint64(r.uint32())<<32 | uint64(r.uint32()) }

func (r *reader) bool() bool { return r.uint32() != 0 }

func (r *reader) opaque() []byte {
	taken := r.take(int(r.uint32()))
	r.take(padding(len(taken)))
	return taken
}

func padding(length int) int { return -length & 3 }
