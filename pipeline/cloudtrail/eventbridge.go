package cloudtrail

import (
	"bytes"
	"fmt"
)

// eventBridge unwraps an EventBridge event, whose detail is the CloudTrail
// record if its detail-type ends in "via CloudTrail" ("AWS API Call via
// CloudTrail", "AWS Console Sign In via CloudTrail", "AWS Service Event via
// CloudTrail", "AWS Insight via CloudTrail", …). ev stands at the envelope.
//
// Semantics: Amazon EventBridge user guide, AWS service events delivered via
// CloudTrail.
func (r *run) eventBridge(b []byte) {
	kind := r.ev.findField(fieldDetailType)
	if kind.kind != String {
		r.malformed(b, "an EventBridge event whose detail-type is not a string", false)
		return
	}
	if text := r.ev.text(kind); !bytes.HasSuffix(text, []byte(" via CloudTrail")) {
		r.malformed(b, fmt.Sprintf("an EventBridge event of type %q, not from CloudTrail", text[:min(len(text), 100)]), false)
		return
	}
	detail := r.ev.findField(fieldDetail)
	switch detail.kind {
	case Object:
	case Broken:
		r.invalid(b, r.ev.err.Error())
		return
	default:
		r.malformed(b, "an EventBridge event whose detail is not an object", false)
		return
	}
	raw := b[detail.start:detail.end]
	r.ev.Reset(raw)
	c, _ := r.classify()
	switch {
	case r.ev.err != nil:
		r.invalid(b, "an EventBridge event whose detail is "+r.ev.err.Error())
	case c == classEvent || r.u.AnyObject:
		r.event(raw)
	default:
		r.invalid(b, "an EventBridge event whose detail is not a CloudTrail event")
	}
}
