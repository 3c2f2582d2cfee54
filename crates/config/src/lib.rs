//! Every setting, declared once, checked once, passed by value.
