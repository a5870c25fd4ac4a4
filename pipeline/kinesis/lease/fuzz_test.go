package lease

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// FuzzRow: any item is a lease, or not, or an error; a lease that is written is read as it was.
func FuzzRow(f *testing.F) {
	f.Add("shardId-000000000000", "TRIM_HORIZON", "5", "0", "a,b")
	f.Add("1:stream:2:shardId-000000000001", "4959", "-1", "x", "")
	f.Add("", "", "99999999999999999999", "", ",")
	f.Fuzz(func(t *testing.T, key, checkpoint, counter, sub, parents string) {
		if !utf8.ValidString(key + checkpoint + counter + sub + parents) {
			t.Skip("no string of DynamoDB's")
		}
		i := item{
			attrKey: str(key), attrCheckpoint: str(checkpoint), attrCounter: numText(counter), attrSubSequence: numText(sub),
		}
		r, is, err := parseRow(i)
		if err != nil || !is {
			return
		}
		stream, shard := splitKey(key)
		if leaseKey(stream, shard) != key && stream != "" {
			t.Errorf("key %q became %q and %q", key, stream, shard)
		}
		for p := range strings.SplitSeq(parents, ",") {
			if p != "" {
				r.parents = append(r.parents, p)
			}
		}
		again, is, err := parseRow(r.item())
		if diff := cmp.Diff(r, again, cmp.AllowUnexported(row{}, identity{})); diff != "" || !is || err != nil {
			t.Errorf("%v %v, -want +got:\n%s", is, err, diff)
		}
	})
}

func numText(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
