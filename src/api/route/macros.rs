//! What the table of routes becomes: the routes as a type, how one is found, what `Allow` says, and in tests the table as data.

/// A segment of a path as OpenAPI writes it.
#[cfg(test)]
macro_rules! segment {
    ($text:literal) => {
        $text
    };
    ($name:ident) => {
        concat!("{", stringify!($name), "}")
    };
    (($name:ident ..)) => {
        concat!("{", stringify!($name), "}")
    };
}

/// A segment of a path as a pattern: a text, the name of one, or the name of all that follow.
macro_rules! pattern {
    ($text:literal) => {
        $text
    };
    ($name:ident) => {
        $name
    };
    (($name:ident ..)) => {
        $name @ ..
    };
}

/// What `Allow` says of a method: `HEAD` comes with `GET`.
macro_rules! allowed {
    (GET) => {
        "GET, HEAD, "
    };
    ($method:ident) => {
        concat!(stringify!($method), ", ")
    };
}

macro_rules! routes {
    ($([$($segment:tt),+] {$(
        $(#[doc = $doc:literal])+
        $method:ident $name:ident $(($($arg:ident: $kind:ty = $read:ident),+))?, $access:ident,
        refuses [$($code:ident)*], described by $described:ident;
    )+})+) => {
        /// A route with the ids that its path names.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Route {
            $($($(#[doc = $doc])+ $name $(($($kind),+))?,)+)+
        }

        /// The table: each path as OpenAPI writes it, and its rows.
        #[cfg(test)]
        pub(super) const TABLE: &[(&str, &[Row])] = &[$((concat!($("/", segment!($segment)),+), &[$(Row {
            method: stringify!($method),
            name: stringify!($name),
            doc: &[$($doc),+],
            access: Access::$access,
            codes: &[$(Code::$code),*],
            described: super::openapi::described::$described,
        },)+]),)+];

        impl Route {
            /// Finds the row for a method and a path that starts with `/`. `HEAD` is the `GET` of the same path: whoever sends the
            /// response leaves the body out.
            ///
            /// # Errors
            /// 404 `not_found` for an unknown path, 405 `method_not_allowed` with `Allow` for a method that the path does not have.
            pub fn find(method: &str, path: &str) -> Result<Found, ApiError> {
                let method = if method == "HEAD" { "GET" } else { method };
                match segments(path)?.as_slice() {
                    $([$(pattern!($segment)),+] => match method {
                        $(stringify!($method) => Ok(Found {
                            access: Access::$access,
                            route: routes!(@read $name $(($($read($arg)),+))?),
                        }),)+
                        _ => Err(method_not_allowed(concat!($(allowed!($method),)+ "OPTIONS"))),
                    },)+
                    _ => Err(ApiError::not_found()),
                }
            }

            /// The methods of a path, as `Allow` lists them.
            ///
            /// # Errors
            /// 404 `not_found` for an unknown path.
            #[expect(unused_variables, reason = "the names of ids stand in the patterns")]
            pub fn allow(path: &str) -> Result<&'static str, ApiError> {
                match segments(path)?.as_slice() {
                    $([$(pattern!($segment)),+] => Ok(concat!($(allowed!($method),)+ "OPTIONS")),)+
                    _ => Err(ApiError::not_found()),
                }
            }
        }
    };
    (@read $name:ident) => { Ok(Route::$name) };
    (@read $name:ident ($read:expr)) => { $read.map(Route::$name) };
    (@read $name:ident ($first:expr, $second:expr)) => { $first.and_then(|first| Ok(Route::$name(first, $second?))) };
}
