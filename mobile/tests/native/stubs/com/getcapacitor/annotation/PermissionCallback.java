package com.getcapacitor.annotation;

public @interface PermissionCallback {}
