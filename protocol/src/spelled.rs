//! Fields of a request as they are spelled in JSON, maps and rules: the way back from [`crate::text`]. Texts are left to
//! whoever may show them.

use crate::card::CardBin;
use crate::codes;
use crate::field::{Field, with_request_fields};
use crate::ids::RequestId;
use crate::money::Currency;
use crate::place::{Country, Mcc};
use crate::request::{Eci, PanDigest};
use crate::time::Timestamp;
use crate::view::RequestView;
use core::net::IpAddr;

/// A value of fixed size that is spelled as it is read.
trait Spelled {
    fn spelled(&self) -> String;
}

macro_rules! spelled {
    ($($ty:ty: $text:expr;)+) => {$(
        impl Spelled for $ty {
            fn spelled(&self) -> String { $text(self) }
        }
    )+};
}
macro_rules! spelled_by_name {
    ($($ty:ident),+ $(,)?) => { spelled! { $(codes::$ty: |code: &Self| code.name().to_owned();)+ } };
}
spelled_by_name!(
    Channel,
    EntryMode,
    Initiation,
    SubjectKind,
    NameMatch,
    CardTokenKind,
    Funding,
    Wallet,
    Avs,
    Cvv,
    AuthMethod,
    AuthResult,
    TransStatus,
    ScaExemption,
    RemoteAccess,
    DeliveryType,
);
spelled! {
    Currency: ToString::to_string;
    Country: ToString::to_string;
    CardBin: ToString::to_string;
    RequestId: ToString::to_string;
    Timestamp: ToString::to_string;
    IpAddr: ToString::to_string;
    bool: ToString::to_string;
    i64: ToString::to_string;
    u32: ToString::to_string;
    Mcc: |mcc: &Self| format!("{:04}", mcc.wire());
    Eci: |eci: &Self| eci.wire().to_string();
    PanDigest: |digest: &Self| RequestId(digest.0).to_string();
}

macro_rules! scalars_as_text {
    (
        scalars { $( $(#[$sdoc:meta])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[$tdoc:meta])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        impl RequestView<'_> {
            /// The fields of fixed size that the request carries, as [`AuthorisationRequest::set`] reads them.
            ///
            /// [`AuthorisationRequest::set`]: crate::request::AuthorisationRequest::set
            pub fn scalars_as_text(&self) -> Vec<(Field, String)> {
                let all = [$((Field::$sv, self.$s().map(|value| value.spelled()))),*];
                all.into_iter().filter_map(|(field, text)| Some((field, text?))).collect()
            }
        }
    };
}
with_request_fields!(scalars_as_text);
