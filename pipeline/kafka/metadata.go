package kafka

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What a shared source keeps in the metadata of a committed offset:
//
//	trailtide/1;BORN;POSITION
//
// POSITION is the encoded position in unpadded URL-safe base64: by its topic ID a
// topic that was deleted and made again is noticed. BORN is how many partitions
// the topic had when the group first read it: those begin where the options say,
// and those that came later at their start, whoever finds them.
const (
	metadataPrefix  = "trailtide/"
	metadataVersion = "1"
)

// errForeign: the offset was committed by another tool.
var errForeign = errors.New("metadata of another tool")

func encodeMetadata(pos position, born int32) string {
	return metadataPrefix + metadataVersion + ";" + strconv.FormatInt(int64(born), 10) + ";" +
		base64.RawURLEncoding.EncodeToString(pos.encode())
}

// decodeMetadata answers errForeign for what this program has not written, and
// another error for what a newer version of it has written or what is damaged.
func decodeMetadata(s string) (pos position, born int32, err error) {
	rest, ours := strings.CutPrefix(s, metadataPrefix)
	if !ours {
		return pos, 0, errForeign
	}
	version, rest, _ := strings.Cut(rest, ";")
	if version != metadataVersion {
		return pos, 0, fmt.Errorf("offset metadata has format %.10q, this version reads %s", version, metadataVersion)
	}
	count, encoded, ok := strings.Cut(rest, ";")
	n, err := strconv.ParseInt(count, 10, 32)
	if !ok || err != nil || n < 0 {
		return pos, 0, errors.New("offset metadata is damaged")
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return pos, 0, errors.New("offset metadata is damaged")
	}
	if pos, err = decodePosition(b); err != nil {
		return pos, 0, fmt.Errorf("offset metadata: %w", err)
	}
	return pos, int32(n), nil
}
